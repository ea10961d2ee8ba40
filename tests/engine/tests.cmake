# data
batchscope_test(tst_data_synthetic engine TORCH LIBS batchscope_train LABELS unit)
batchscope_test(tst_loader engine TORCH LIBS batchscope_train LABELS unit)
batchscope_test(tst_data_pictures engine TORCH LIBS batchscope_train PNG::PNG nlohmann_json::nlohmann_json LABELS unit)
foreach(_name tst_data_coco tst_data_coco_masks tst_data_check tst_data_openimages tst_data_panoptic tst_data_voc
         tst_openimages_figure)
  batchscope_test(${_name} engine TORCH LIBS batchscope_train PNG::PNG LABELS unit)
endforeach()
batchscope_test(tst_json_reader engine LIBS batchscope_train LABELS unit)

# metrics
batchscope_test(tst_rle engine LIBS batchscope_train nlohmann_json::nlohmann_json LABELS unit)
batchscope_test(tst_coco_metrics engine LIBS batchscope_train nlohmann_json::nlohmann_json LABELS unit)
batchscope_test(tst_coco_files engine LIBS batchscope_train PNG::PNG nlohmann_json::nlohmann_json LABELS unit)
batchscope_test(tst_panoptic engine LIBS batchscope_train nlohmann_json::nlohmann_json LABELS unit)
batchscope_test(tst_evaluator engine TORCH LIBS batchscope_train SOURCES support/spawn_ranks.cpp LABELS process)

# control and ranks
batchscope_test(tst_control_server engine LIBS batchscope_train LABELS unit)
batchscope_test(tst_gradient_sync engine TORCH LIBS batchscope_train SOURCES support/spawn_ranks.cpp LABELS process TIMEOUT 400)
batchscope_test(tst_group engine TORCH LIBS batchscope_train SOURCES support/spawn_ranks.cpp LABELS process)
batchscope_test(tst_supervisor engine TORCH LIBS batchscope_train LABELS process)


# train
set(_toy support/toy_training.cpp)
batchscope_test(tst_trainer engine TORCH SOURCES ${_toy} LIBS batchscope_train LABELS process)
batchscope_test(tst_shared_norms engine TORCH SOURCES ${_toy} LIBS batchscope_train LABELS process TIMEOUT 300)
batchscope_test(tst_checkpoint engine TORCH SOURCES ${_toy} LIBS batchscope_train LABELS unit)
batchscope_test(tst_shadows engine TORCH SOURCES ${_toy} LIBS batchscope_train LABELS unit)
batchscope_test(tst_switch engine TORCH SOURCES ${_toy} LIBS batchscope_train LABELS unit)
batchscope_test(tst_equivalence engine TORCH SOURCES ${_toy} LIBS batchscope_train LABELS process TIMEOUT 300)
batchscope_test(tst_replay engine TORCH LIBS batchscope_train nlohmann_json::nlohmann_json LABELS unit)
batchscope_test(tst_fork engine TORCH SOURCES ${_toy} LIBS batchscope_train LABELS unit)
batchscope_test(tst_lr_fan engine TORCH SOURCES ${_toy} LIBS batchscope_train LABELS unit)
