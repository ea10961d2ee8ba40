#pragma once

#include <string>

namespace batchscope::app {

/// Leaves the sentence a rank ends with where torchrun looks for it (TORCHELASTIC_ERROR_FILE), so
/// that its summary names the cause and not only an exit code. Does nothing under another launcher.
void tell_launcher(const std::string& sentence) noexcept;

}  // namespace batchscope::app
