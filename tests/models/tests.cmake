batchscope_test_support(batchscope_detector_fixture SOURCES support/detector_fixture.cpp support/detector_parity.cpp
  LINK batchscope_models nlohmann_json::nlohmann_json)

foreach(_name tst_losses tst_ops tst_lab_faster_rcnn tst_faster_rcnn)
  batchscope_test(${_name} models TORCH LIBS batchscope_models nlohmann_json::nlohmann_json
    LABELS unit)
endforeach()
batchscope_test(tst_weight_parser models LIBS batchscope_weight_files LABELS unit)
batchscope_test(tst_weight_headers models LIBS batchscope_weight_files LABELS unit)
batchscope_test(tst_weights models TORCH LIBS batchscope_models nlohmann_json::nlohmann_json LABELS unit)
batchscope_test(tst_load_weights models TORCH LIBS batchscope_models LABELS unit)

# The large detectors: whole models in float64.
batchscope_test(tst_detector_names models TORCH LIBS batchscope_detector_fixture LABELS unit TIMEOUT 300)
foreach(_name tst_detector_options tst_detector_parity tst_detector_training)
  batchscope_test(${_name} models TORCH LIBS batchscope_detector_fixture LABELS unit TIMEOUT 600)
endforeach()

batchscope_test(tst_swin models TORCH LIBS batchscope_detector_fixture LABELS unit TIMEOUT 300)

# Things and stuff.
foreach(_name tst_semantic_fpn tst_panoptic_fpn)
  batchscope_test(${_name} models TORCH LIBS batchscope_detector_fixture LABELS unit)
endforeach()

batchscope_test(tst_many_boxes models TORCH LIBS batchscope_detector_fixture LABELS unit)

batchscope_test(tst_sync_batch_norm models TORCH LIBS batchscope_detector_fixture LABELS unit)
