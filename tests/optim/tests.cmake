foreach(_test tst_schedule tst_golden tst_agvm tst_kernels tst_memory tst_reference tst_switching tst_state tst_rules tst_shadow)
  batchscope_test(${_test} optim TORCH LIBS batchscope_optim nlohmann_json::nlohmann_json)
endforeach()
