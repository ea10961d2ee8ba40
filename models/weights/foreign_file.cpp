#include "models/weights/foreign_file.h"

#include "models/weights/pickle_check.h"
#include "models/weights/weight_error.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace batchscope::models {
namespace {

constexpr std::uint64_t kLooked = 256;

struct Kind {
  std::string_view begin;  // small letters match both
  const char* what;
};
// What a download gives in the place of weights, and what other programs call weights.
constexpr std::array kTexts = {
    Kind{"<!doctype html", "it is a web page, not weights"},
    Kind{"<html", "it is a web page, not weights"},
    Kind{"<?xml", "it is an XML document, not weights"},
    Kind{"version https://git-lfs",
         "it is a Git LFS pointer, which stands for the weights until 'git lfs pull' fetches them"},
};
constexpr std::array kBinaries = {
    Kind{"\x1f\x8b", "is compressed by gzip: unpack it first"},
    Kind{"\x89HDF", "is an HDF5 file, expected .pth or .safetensors"},
    Kind{"GGUF", "is a GGUF file, expected .pth or .safetensors"},
};

char small(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool begins(std::string_view text, std::string_view with) {
  return text.size() >= with.size() &&
         std::equal(with.begin(), with.end(), text.begin(), [](char a, char b) {
           return a == b || a == small(b);
         });
}

/// The text's first line; empty when the bytes are no text.
std::string first_line(std::string text, bool whole) {
  const bool plain = std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\r' && c != '\n') || byte == 0x7f;
  });
  for (int cut = 0; !whole && cut < 3 && !text.empty() && !is_utf8(text); ++cut) {
    text.pop_back();  // the last character goes on behind what was looked at
  }
  if (!plain || !is_utf8(text)) {
    return {};
  }
  if (text.starts_with("\xef\xbb\xbf")) {
    text.erase(0, 3);
  }
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first == std::string::npos ? ""
                                    : text.substr(first, text.find_first_of("\r\n", first) - first);
}

}  // namespace

std::string foreign_kind(const ByteSource& source) {
  if (source.size() == 0) {
    return "is empty";
  }
  const std::string start = source.text(0, std::min(source.size(), kLooked));
  for (const Kind& kind : kBinaries) {
    if (start.starts_with(kind.begin)) {
      return kind.what;
    }
  }
  const std::string line = first_line(start, source.size() <= kLooked);
  if (line.empty()) {
    return {};
  }
  std::string what = "it is text, not weights";
  for (const Kind& kind : kTexts) {
    what = begins(line, kind.begin) ? kind.what : what;
  }
  return "begins with " + shown(line) + ": " + what;
}

}  // namespace batchscope::models
