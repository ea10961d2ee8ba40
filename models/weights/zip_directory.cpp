#include "models/weights/zip_directory.h"

#include "models/weights/weight_error.h"

#include <algorithm>

namespace batchscope::models {
namespace {

// Source of every number here: PKWARE's APPNOTE.TXT 6.3, sections 4.3 and 4.5.
constexpr std::uint32_t kLocal = 0x04034b50, kRecord = 0x02014b50, kEnd = 0x06054b50;
constexpr std::uint32_t kWideEnd = 0x06064b50, kWideLocator = 0x07064b50;
constexpr std::uint64_t kLocalBytes = 30, kRecordBytes = 46, kEndBytes = 22;
constexpr std::uint64_t kWideEndBytes = 56, kWideLocatorBytes = 20;
constexpr std::uint16_t kWideExtra = 1, kEncrypted = 1;
constexpr std::uint32_t kSeeWide = 0xffffffff;

constexpr std::uint64_t kLongestComment = 0xffff;
constexpr std::uint64_t kLargestDirectory = 64U << 20;

std::uint16_t u16(const std::string& text, std::size_t at) {
  return little_endian<std::uint16_t>(text.data() + at);
}
std::uint32_t u32(const std::string& text, std::size_t at) {
  return little_endian<std::uint32_t>(text.data() + at);
}
std::uint64_t u64(const std::string& text, std::size_t at) {
  return little_endian<std::uint64_t>(text.data() + at);
}

/// Replaces the numbers of a record that do not fit in 32 bits by those of its wide extra field.
bool widen(ZipRecord& record, const std::string& extra) {
  for (std::size_t at = 0; at + 4 <= extra.size();) {
    const std::size_t bytes = u16(extra, at + 2), end = at + 4 + bytes;
    if (end > extra.size()) {
      return false;
    }
    std::size_t next = at + 4;
    const bool wide = u16(extra, at) == kWideExtra;
    for (std::uint64_t* number : {&record.bytes, &record.stored_bytes, &record.header}) {
      if (wide && *number == kSeeWide) {
        if (next + 8 > end) {
          return false;
        }
        *number = u64(extra, next);
        next += 8;
      }
    }
    at = end;
  }
  return true;
}

}  // namespace

ZipDirectory::ZipDirectory(const ByteSource& source) : source_(source) {
  read(find());
}

ZipDirectory::Place ZipDirectory::find() const {
  const std::uint64_t tail = std::min(source_.size(), kEndBytes + kLongestComment);
  const std::string text = source_.text(source_.size() - tail, tail);
  for (std::uint64_t back = kEndBytes; back <= tail; ++back) {
    const std::uint64_t at = tail - back;
    if (u32(text, at) != kEnd) {
      continue;
    }
    const std::uint64_t end = source_.size() - back;
    if (end >= kWideLocatorBytes) {
      const std::uint64_t locator = end - kWideLocatorBytes;
      if (little_endian<std::uint32_t>(source_.text(locator, 4).data()) == kWideLocator) {
        return find_wide(locator);
      }
    }
    return {u32(text, at + 16), u32(text, at + 12), u16(text, at + 10)};
  }
  refuse_file(source_.origin(), "is truncated or damaged: it has no zip directory at its end");
}

ZipDirectory::Place ZipDirectory::find_wide(std::uint64_t locator) const {
  const std::uint64_t end = u64(source_.text(locator, kWideLocatorBytes), 8);
  const std::string text = source_.text(end, kWideEndBytes);
  if (u32(text, 0) != kWideEnd) {
    refuse_file(source_.origin(),
                "is damaged: no zip directory ends at byte " + std::to_string(end));
  }
  return {u64(text, 48), u64(text, 40), u64(text, 32)};
}

void ZipDirectory::read(const Place& place) {
  if (place.bytes > kLargestDirectory || place.records > place.bytes / kRecordBytes) {
    refuse_file(source_.origin(),
                "is damaged: its zip directory would have " + std::to_string(place.records) +
                    " records in " + std::to_string(place.bytes) + " bytes");
  }
  const std::string text = source_.text(place.begin, place.bytes);
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < place.records; ++i) {
    at = read_record(text, at, place.begin);
  }
}

std::size_t ZipDirectory::read_record(const std::string& text,
                                      std::size_t at,
                                      std::uint64_t directory) {
  if (text.size() - at < kRecordBytes || u32(text, at) != kRecord) {
    refuse_file(source_.origin(), "is damaged: its zip directory has fewer records than it says");
  }
  const std::size_t name = u16(text, at + 28), extra = u16(text, at + 30);
  const std::size_t end = at + kRecordBytes + name + extra + u16(text, at + 32);
  ZipRecord record{u32(text, at + 42),
                   u32(text, at + 24),
                   u32(text, at + 20),
                   u16(text, at + 10),
                   u16(text, at + 8)};
  if (end > text.size() || !widen(record, text.substr(at + kRecordBytes + name, extra))) {
    refuse_file(source_.origin(), "is damaged: a record of its zip directory is cut off");
  }
  std::string called = text.substr(at + kRecordBytes, name);
  if (record.header > directory || directory - record.header < kLocalBytes ||
      record.stored_bytes > directory - record.header - kLocalBytes) {
    refuse_file(source_.origin(),
                "is damaged: record " + shown(called) + " of " +
                    std::to_string(record.stored_bytes) + " bytes does not lie in it");
  }
  if (!records_.emplace(called, record).second) {
    refuse_file(source_.origin(), "is damaged: it holds record " + shown(called) + " twice");
  }
  return end;
}

const ZipRecord& ZipDirectory::plain(const std::string& name) const {
  const auto found = records_.find(name);
  if (found == records_.end()) {
    refuse_file(source_.origin(), "lacks record " + shown(name));
  }
  const ZipRecord& record = found->second;
  if (record.method != 0 || (record.flags & kEncrypted) != 0 ||
      record.bytes != record.stored_bytes) {
    refuse_file(source_.origin(),
                "has record " + shown(name) +
                    " compressed or encrypted; torch.save stores records as they are");
  }
  return record;
}

std::uint64_t content_place(const ByteSource& source, const ZipRecord& record) {
  const std::string header = source.text(record.header, kLocalBytes);
  if (u32(header, 0) != kLocal) {
    refuse_file(source.origin(),
                "is damaged: no zip record begins at byte " + std::to_string(record.header));
  }
  return record.header + kLocalBytes + u16(header, 26) + u16(header, 28);
}

}  // namespace batchscope::models
