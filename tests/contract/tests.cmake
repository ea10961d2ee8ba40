batchscope_test(tst_messages contract LIBS batchscope_contract LABELS unit)
