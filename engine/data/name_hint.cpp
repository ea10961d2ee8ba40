#include "engine/data/name_hint.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace batchscope::train {
namespace {

/// "%20" becomes a blank.
std::string without_escapes(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    std::uint8_t byte = 0;
    if (name[i] == '%' && i + 2 < name.size()) {
      const char* digits = name.data() + i + 1;
      if (std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
        out += static_cast<char>(byte);
        i += 2;
        continue;
      }
    }
    out += name[i];
  }
  return out;
}

/// The file that a path, or the end of one, leads to; empty: none.
std::string end_that_is_there(std::string_view path,
                              const std::string& folder,
                              const std::unordered_set<std::string>& present) {
  std::error_code ignored;
  while (!path.empty()) {
    std::string end(path);
    const std::size_t slash = path.find_first_of("/=");
    if (slash == std::string_view::npos) {
      return present.contains(end) ? end : std::string();
    }
    // A path that begins with a slash or ".." would leave the folder.
    if (slash > 0 && !path.starts_with("..") &&
        std::filesystem::is_regular_file(std::filesystem::path(folder) / end, ignored)) {
      return end;
    }
    path.remove_prefix(slash + 1);
  }
  return {};
}

std::string lower(std::string name) {
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return name;
}

/// What follows a letter in Unicode's decomposed form: accents, vowels and finals of Hangul, the
/// voice marks of Kana.
bool is_mark(std::uint32_t code) {
  return (code >= 0x300 && code <= 0x36f) || (code >= 0x1160 && code <= 0x11ff) || code == 0x3099 ||
         code == 0x309a;
}

struct Letter {
  std::string bytes;
  bool marked = false;
};

/// Letters with the marks that follow them; of UTF-8.
std::vector<Letter> letters_of(std::string_view name) {
  std::vector<Letter> letters;
  for (std::size_t i = 0; i < name.size();) {
    const auto lead = static_cast<unsigned char>(name[i]);
    const std::size_t count = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    std::uint32_t code = count == 1 ? lead : lead & (0x7fU >> count);
    for (std::size_t k = 1; k < count && i + k < name.size(); ++k) {
      code = code << 6 | (static_cast<unsigned char>(name[i + k]) & 0x3fU);
    }
    const bool mark = is_mark(code) && !letters.empty();
    if (!mark) {
      letters.emplace_back();
    }
    letters.back().bytes += name.substr(i, count);
    letters.back().marked = mark;
    i += count;
  }
  return letters;
}

/// Whether two names can be one in the composed and the decomposed form: a letter with marks
/// stands for one letter beyond ASCII. A guess, for a hint.
bool same_but_for_form(std::string_view one, std::string_view other) {
  const auto beyond = [](const Letter& letter) {
    return !letter.marked && static_cast<unsigned char>(letter.bytes.front()) >= 0x80;
  };
  return std::ranges::equal(
      letters_of(one), letters_of(other), [&beyond](const Letter& a, const Letter& b) {
        return a.bytes == b.bytes || (a.marked && beyond(b)) || (b.marked && beyond(a));
      });
}

std::string hint(const std::string& found, const char* why) {
  return " The folder has '" + found + "': " + why + ".";
}

}  // namespace

std::string name_hint(const std::string& name,
                      const std::string& folder,
                      const std::unordered_set<std::string>& present) {
  std::string path = without_escapes(name);
  const bool url = path != name || name.find("://") != std::string::npos;
  const bool windows = path.find('\\') != std::string::npos;
  std::ranges::replace(path, '\\', '/');
  if (const std::string end = end_that_is_there(path, folder, present); !end.empty()) {
    return hint(end,
                url       ? "the names are URLs"
                : windows ? "the names are paths of Windows"
                          : "the names have folders that are not below it");
  }
  path = path.substr(path.rfind('/') + 1);
  for (const std::string& other : present) {
    if (lower(other) == lower(path)) {
      return hint(other, "the names differ in capitals");
    }
    if (same_but_for_form(path, other)) {
      return hint(other, "the names are of another Unicode form (NFC, NFD)");
    }
  }
  return {};
}

}  // namespace batchscope::train
