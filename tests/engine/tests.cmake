# data and metrics
batchscope_test(tst_data_synthetic engine TORCH LIBS batchscope_train LABELS unit)
batchscope_test(tst_loader engine TORCH LIBS batchscope_train LABELS unit)
