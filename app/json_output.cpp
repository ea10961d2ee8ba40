#include "app/json_output.h"

#include "app/terminal_text.h"
#include "engine/contract/error.h"
#include "models/weights/file_writer.h"
#include "models/weights/weight_error.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <unistd.h>

namespace batchscope {
namespace {

namespace fs = std::filesystem;

std::string text_of(const nlohmann::json& value, int indent) {
  // Names in files may be any bytes.
  return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void write_stream(const std::string& text, std::FILE* stream, const std::string& name) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stream) == text.size();
  if (!written || std::fflush(stream) != 0) {
    throw contract::StorageError("Could not write '" + name + "': " + std::strerror(errno) + ".");
  }
}

/// To what is there already.
void write_through(const std::string& text, const std::string& file) {
  const auto close = [](std::FILE* stream) { std::fclose(stream); };
  const std::unique_ptr<std::FILE, decltype(close)> stream(std::fopen(file.c_str(), "w"), close);
  if (stream == nullptr) {
    throw contract::StorageError("Could not open '" + file + "': " + std::strerror(errno) + ".");
  }
  write_stream(text, stream.get(), file);
}

void write_file(const std::string& text, const fs::path& file) {
  try {
    models::FileWriter writer(file, {});
    writer.append(text);
    writer.finish();
  } catch (const models::DiskError& error) {
    throw contract::StorageError(error.what());
  }
}

}  // namespace

void write_text(const std::string& text, const std::string& file) {
  std::error_code ignored;
  const fs::file_status there = fs::status(file, ignored);
  // A link goes on pointing where it did.
  const fs::path target = fs::is_regular_file(there) ? fs::canonical(file) : fs::path(file);
  const fs::path folder = target.parent_path().empty() ? "." : target.parent_path();
  // Nothing can take the place of a device or a pipe, or of a file where none can be made.
  const bool fixed = !fs::is_regular_file(there) || ::access(folder.c_str(), W_OK) != 0;
  if (fs::exists(there) && fixed) {
    write_through(text, file);
  } else {
    write_file(text, target);
  }
}

void require_writable(const std::string& file, const std::string& option) {
  std::error_code ignored;
  // Opening a pipe would wait for its reader.
  const bool present = fs::exists(file, ignored);
  if (present ? ::access(file.c_str(), W_OK) != 0 || fs::is_directory(file, ignored)
              : !std::ofstream(file)) {
    throw contract::StorageError("The file '" + file + "' of " + option + " cannot be written.");
  }
  if (!present) {
    fs::remove(file, ignored);
  }
}

void write_json(const nlohmann::json& value, const std::string& file) {
  if (file.empty()) {
    write_stream(app::printable_json(text_of(value, -1)), stdout, "the standard output");
  } else {
    write_text(text_of(value, 2), file);
  }
}

}  // namespace batchscope
