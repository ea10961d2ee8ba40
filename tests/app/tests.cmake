batchscope_test_program(tests_wiring app LIBS batchscope_wiring SQLite::SQLite3)
batchscope_tests(tests_wiring LABELS unit TESTS tst_layers tst_sink_faults tst_sink_queue)
batchscope_tests(tests_wiring LABELS process TESTS tst_setup tst_sqlite_sink)

if(BATCHSCOPE_ENGINE)
  batchscope_test_program(tests_runs_cli app LIBS batchscope_runs_cli)
  batchscope_tests(tests_runs_cli LABELS unit TESTS tst_run_fork tst_runs_commands tst_weights_eps)

  # The engine as people start it.
  batchscope_test_program(tests_engine_process app LIBS batchscope_storage PNG::PNG NEEDS batchscope-engine)
  batchscope_tests(tests_engine_process LABELS process
    TESTS tst_metrics_process tst_output_process tst_replay_process tst_spec_process)
  batchscope_tests(tests_engine_process LABELS process COST 15
    TESTS tst_category_ids tst_told_process tst_data_process tst_predict_classes tst_predict_process)
  batchscope_tests(tests_engine_process LABELS process COST 30 TIMEOUT 300 TESTS tst_weights_process)
  batchscope_tests(tests_engine_process LABELS process COST 30 TIMEOUT 400 TESTS tst_engine_process tst_fork_process
      tst_seams_process)
  # They wait for patiences to end.
  batchscope_tests(tests_engine_process LABELS process COST 20 TIMEOUT 400 SIDE_BY_SIDE 4
    TESTS tst_record_process tst_stuck_process tst_torchrun_process)

  batchscope_test_program(tests_engine_commands app TORCH modules LIBS batchscope_engine_commands CLI11::CLI11)
  batchscope_tests(tests_engine_commands LABELS unit TESTS tst_bench_optim tst_bench_step tst_class_match tst_model_names
      tst_weight_sets)

  if(BATCHSCOPE_GUI)
    batchscope_test_program(tests_window_process app LIBS batchscope_storage NEEDS batchscope-engine batchscope)
    batchscope_tests(tests_window_process LABELS gui process TIMEOUT 300 TESTS tst_window_process)
  endif()
endif()
