batchscope_test(tst_messages contract LIBS batchscope_contract LABELS unit)
batchscope_test(tst_run_spec contract LIBS batchscope_contract LABELS unit)
