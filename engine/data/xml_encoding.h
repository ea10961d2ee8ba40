#pragma once

#include <expat.h>

namespace batchscope::train {

/// Fills in what expat asks for where it does not know an encoding itself: those of iconv with one
/// or two bytes a character (windows-1252, GBK, Shift_JIS, …). False: iconv does not know it
/// either.
bool know_encoding(const char* name, XML_Encoding& encoding);

}  // namespace batchscope::train
