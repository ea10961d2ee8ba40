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
batchscope_test_support(batchscope_spawn_ranks SOURCES support/spawn_ranks.cpp LINK batchscope_train)
batchscope_test(tst_evaluator engine TORCH LIBS batchscope_spawn_ranks LABELS process)
batchscope_test(tst_evaluator_wait engine TORCH LIBS batchscope_spawn_ranks LABELS process)
batchscope_test(tst_picture_parity engine TORCH LIBS batchscope_train batchscope_detector_fixture LABELS unit)

# control and ranks
batchscope_test(tst_control_server engine LIBS batchscope_train LABELS unit)
batchscope_test(tst_gradient_sync engine TORCH LIBS batchscope_spawn_ranks LABELS process TIMEOUT 400)
batchscope_test(tst_group engine TORCH LIBS batchscope_spawn_ranks LABELS process)
batchscope_test(tst_supervisor engine TORCH LIBS batchscope_train LABELS process)


# train
batchscope_test_support(batchscope_toy_training SOURCES support/toy_training.cpp LINK batchscope_train)
batchscope_test(tst_trainer engine TORCH LIBS batchscope_toy_training LABELS process)
batchscope_test(tst_shared_norms engine TORCH LIBS batchscope_toy_training LABELS process TIMEOUT 300)
batchscope_test(tst_checkpoint engine TORCH LIBS batchscope_toy_training LABELS unit)
batchscope_test(tst_state_file engine TORCH LIBS batchscope_toy_training LABELS unit)
batchscope_test(tst_shadows engine TORCH LIBS batchscope_toy_training LABELS unit)
batchscope_test(tst_switch engine TORCH LIBS batchscope_toy_training LABELS unit)
batchscope_test(tst_equivalence engine TORCH LIBS batchscope_toy_training LABELS process TIMEOUT 300)
batchscope_test(tst_replay engine TORCH LIBS batchscope_train nlohmann_json::nlohmann_json LABELS unit)
batchscope_test(tst_fork engine TORCH LIBS batchscope_toy_training LABELS unit)
batchscope_test(tst_lr_fan engine TORCH LIBS batchscope_toy_training LABELS unit)
