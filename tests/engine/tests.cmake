batchscope_test_program(tests_figures engine LIBS batchscope_figures PNG::PNG nlohmann_json::nlohmann_json)
batchscope_tests(tests_figures LABELS unit
  TESTS tst_coco_files tst_coco_metrics tst_control_server tst_json_reader tst_panoptic tst_rle)

batchscope_test_support(batchscope_engine_fixture SOURCES support/spawn_ranks.cpp support/toy_training.cpp LINK batchscope_train)
batchscope_test_program(tests_engine engine TORCH modules
  LIBS batchscope_engine_fixture batchscope_detector_fixture PNG::PNG nlohmann_json::nlohmann_json)
batchscope_tests(tests_engine LABELS unit
  TESTS tst_broken_pictures tst_checkpoint tst_data_check tst_data_coco tst_data_coco_masks tst_data_openimages tst_data_panoptic
    tst_data_pictures tst_data_synthetic tst_data_voc tst_fork tst_loader tst_lr_fan tst_openimages_figure
    tst_picture_parity tst_promises tst_shadows tst_state_file tst_switch)
batchscope_tests(tests_engine LABELS unit COST 18 TESTS tst_replay)
batchscope_tests(tests_engine LABELS process TESTS tst_evaluator tst_evaluator_wait tst_trainer)
batchscope_tests(tests_engine LABELS process COST 12 TESTS tst_group tst_supervisor)
batchscope_tests(tests_engine LABELS process TIMEOUT 400 COST 15 TESTS tst_equivalence tst_gradient_sync)
batchscope_tests(tests_engine LABELS process TIMEOUT 400 TESTS tst_shared_norms)
