batchscope_test_support(batchscope_detector_fixture SOURCES support/detector_fixture.cpp support/detector_parity.cpp
  LINK batchscope_models nlohmann_json::nlohmann_json)

batchscope_test_program(tests_weight_files models LIBS batchscope_weight_files)
batchscope_tests(tests_weight_files LABELS unit TESTS tst_weight_headers tst_weight_parser)

batchscope_test_program(tests_models models TORCH modules LIBS batchscope_detector_fixture nlohmann_json::nlohmann_json)
batchscope_tests(tests_models LABELS unit
  TESTS tst_faster_rcnn tst_lab_faster_rcnn tst_load_weights tst_losses tst_ops tst_semantic_fpn tst_sync_batch_norm
    tst_weights)
batchscope_tests(tests_models LABELS unit COST 8 TESTS tst_many_boxes tst_panoptic_fpn)
# The large detectors: whole models in float64.
batchscope_tests(tests_models LABELS unit TIMEOUT 600 COST 35 TESTS tst_detector_training)
batchscope_tests(tests_models LABELS unit TIMEOUT 600 COST 20 TESTS tst_detector_parity)
batchscope_tests(tests_models LABELS unit TIMEOUT 600 COST 10 TESTS tst_detector_names tst_detector_options tst_swin)
