batchscope_test(tst_layers app LABELS unit)
