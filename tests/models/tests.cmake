batchscope_test(tst_lab_faster_rcnn models TORCH LIBS batchscope_models nlohmann_json::nlohmann_json
  SOURCES support/tensor_file.cpp LABELS unit)
