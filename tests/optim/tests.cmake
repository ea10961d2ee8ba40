batchscope_test_program(tests_optim optim TORCH tensors LIBS batchscope_optim nlohmann_json::nlohmann_json)
batchscope_tests(tests_optim LABELS unit
  TESTS tst_agvm tst_golden tst_kernels tst_memory tst_reference tst_rules tst_schedule tst_shadow tst_state tst_switching)
