#include "storage/private_paths.h"

#include <algorithm>
#include <array>

namespace batchscope::storage {
namespace {

/// Keys of a spec that hold paths, which in a spec that was never stored may be relative.
constexpr std::array<std::string_view, 12> kPathKeys = {"annotations",
                                                        "images",
                                                        "segments",
                                                        "list",
                                                        "val_annotations",
                                                        "val_images",
                                                        "val_segments",
                                                        "val_list",
                                                        "classes",
                                                        "hierarchy",
                                                        "val_image_labels",
                                                        "weights"};

bool is_absolute(std::string_view path) {
  return path.starts_with("/") || path.starts_with("~/");
}

/// Where the last name of a path begins; 0: it has no folder.
std::size_t name_at(std::string_view path) {
  const std::size_t slash = path.substr(0, path.find_last_not_of('/') + 1).rfind('/');
  return slash == std::string_view::npos ? 0 : slash + 1;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  return first == std::string_view::npos
             ? std::string_view()
             : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Of a quoted text that begins at `quote`: where its closing quote is, on the same line.
std::size_t closing(std::string_view text, std::size_t quote) {
  for (std::size_t at = quote + 1; at < text.size() && text[at] != '\n'; ++at) {
    if (text[at] == '\\' && text[quote] == '"') {
      ++at;
    } else if (text[at] == text[quote]) {
      return at;
    }
  }
  return std::string_view::npos;
}

bool is_quote(char c) {
  return c == '"' || c == '\'' || c == '`';
}

/// Where an absolute path in a sentence ends that begins at `at`.
std::size_t path_end(std::string_view text, std::size_t at) {
  if (at > 0 && is_quote(text[at - 1])) {
    const std::size_t end = closing(text, at - 1);
    if (end != std::string_view::npos) {
      return end;
    }
  }
  return std::min(text.size(), text.find_first_of(" \t\r\n\"'`,;:()[]{}<>|", at));
}

bool begins_path(std::string_view text, std::size_t at) {
  constexpr std::string_view kBefore = " \t\n\"'`([{<=,;:|";
  const std::string_view rest = text.substr(at);
  const bool begins = at == 0 || kBefore.find(text[at - 1]) != std::string_view::npos;
  const bool address = at > 0 && text[at - 1] == ':' && rest.starts_with("//");
  return begins && is_absolute(rest) && !address;
}

void replace_all(std::string& text, const std::string& from) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    text.erase(at, from.size());
  }
}

}  // namespace

std::string without_folders(const std::string& spec_toml, std::vector<std::string>* folders) {
  const std::string_view text = spec_toml;
  std::string out;
  std::size_t line = 0, copied = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\n') {
      line = at + 1;
    }
    if (text[at] != '"' && text[at] != '\'') {
      continue;
    }
    const std::size_t end = closing(text, at);
    if (end == std::string_view::npos) {
      continue;
    }
    const std::string_view path = text.substr(at + 1, end - at - 1);
    const std::string_view key = trimmed(text.substr(line, text.find('=', line) - line));
    if (is_absolute(path) || std::ranges::find(kPathKeys, key) != kPathKeys.end()) {
      const std::size_t name = name_at(path);
      if (folders != nullptr && is_absolute(path)) {
        folders->emplace_back(path.substr(0, name));
      }
      out += text.substr(copied, at + 1 - copied);
      copied = at + 1 + name;
    }
    at = end;
  }
  return out.append(text.substr(copied));
}

std::string without_folders_in(std::string text, const std::vector<std::string>& folders) {
  if (is_absolute(text) && text.find('\n') == std::string::npos) {
    const std::size_t end = path_end(text, 0);
    if (end == text.size() || text[end] == ' ') {
      return text.substr(name_at(text));
    }
  }
  std::vector<std::string> longest_first;
  std::ranges::copy_if(folders, std::back_inserter(longest_first), [](const std::string& folder) {
    return folder.size() > 1;
  });
  std::ranges::sort(longest_first, std::ranges::greater(), &std::string::size);
  for (const std::string& folder : longest_first) {
    replace_all(text, folder);
  }
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (!begins_path(text, at)) {
      out += text[at++];
      continue;
    }
    const std::string_view path = std::string_view(text).substr(at, path_end(text, at) - at);
    out += path.substr(path.size() > 1 ? name_at(path) : 0);
    at += std::max<std::size_t>(1, path.size());
  }
  return out;
}

}  // namespace batchscope::storage
