foreach(_name tst_ops tst_lab_faster_rcnn tst_faster_rcnn)
  batchscope_test(${_name} models TORCH LIBS batchscope_models nlohmann_json::nlohmann_json
    SOURCES support/tensor_file.cpp LABELS unit)
endforeach()
