batchscope_test_program(tests_storage storage LIBS batchscope_storage SQLite::SQLite3)
batchscope_tests(tests_storage LABELS unit
  TESTS tst_catalogue tst_exports tst_hostile_files tst_migrations tst_pyramid tst_run_faults tst_run_file tst_run_removal
    tst_segments)
batchscope_tests(tests_storage LABELS process TESTS tst_run_processes tst_run_status)
