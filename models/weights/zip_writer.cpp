#include "models/weights/zip_writer.h"

#include "models/weights/crc32.h"

#include <algorithm>

namespace batchscope::models {
namespace {

// Source: PKWARE's APPNOTE.TXT 6.3, and the bytes that torch 2.11 writes.
constexpr std::uint64_t kNarrow = 0xffffffff;
constexpr std::uint64_t kAlignment = 64;
constexpr std::uint16_t kFlags = 0x0808;  // sizes and check sum follow; names are UTF-8

std::string little(std::uint64_t value, std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(value >> (8 * i) & 0xff);
  }
  return bytes;
}
std::string u16(std::uint64_t value) {
  return little(value, 2);
}
std::string u32(std::uint64_t value) {
  return little(value, 4);
}
std::string u64(std::uint64_t value) {
  return little(value, 8);
}
std::string narrow(std::uint64_t value) {
  return u32(std::min(value, kNarrow));
}

}  // namespace

void ZipWriter::write_header(const Record& record) {
  // Only readers of streams need the sizes here, and only when they do not fit behind.
  const std::string wide =
      record.bytes >= kNarrow ? u16(1) + u16(16) + u64(record.bytes) + u64(record.bytes) : "";
  const std::uint64_t begin = file_.place() + 30 + record.name.size() + wide.size() + 4;
  const std::uint64_t padding = (kAlignment - begin % kAlignment) % kAlignment;
  const std::string extra = wide + "FB" + u16(padding) + std::string(padding, 'Z');
  const std::string sizes = wide.empty() ? u64(0) : u64(~0ULL);
  file_.append(u32(0x04034b50) + u16(0) + u16(kFlags) + u16(0) + u32(0) + u32(0) + sizes +
               u16(record.name.size()) + u16(extra.size()) + record.name + extra);
}

void ZipWriter::add(const std::string& name, const void* bytes, std::uint64_t count) {
  Record record{folder_ + "/" + name, file_.place(), count, crc32(bytes, count)};
  write_header(record);
  file_.append(bytes, count);
  const std::size_t size = count >= kNarrow ? 8 : 4;
  file_.append(u32(0x08074b50) + u32(record.crc) + little(count, size) + little(count, size));
  records_.push_back(std::move(record));
}

void ZipWriter::finish() {
  const std::uint64_t begin = file_.place();
  for (const Record& record : records_) {
    const bool large = record.bytes >= kNarrow, far = record.header >= kNarrow;
    std::string wide;
    if (large || far) {
      wide = u16(1) + u16((large ? 16U : 0U) + (far ? 8U : 0U)) +
             (large ? u64(record.bytes) + u64(record.bytes) : "") + (far ? u64(record.header) : "");
    }
    file_.append(u32(0x02014b50) + u16(0) + u16(0) + u16(kFlags) + u16(0) + u32(0) +
                 u32(record.crc) + narrow(record.bytes) + narrow(record.bytes) +
                 u16(record.name.size()) + u16(wide.size()) + u16(0) + u16(0) + u16(0) + u32(0) +
                 narrow(record.header) + record.name + wide);
  }
  const std::uint64_t end = file_.place(), count = records_.size();
  file_.append(u32(0x06064b50) + u64(44) + u16(0x031e) + u16(45) + u32(0) + u32(0) + u64(count) +
               u64(count) + u64(end - begin) + u64(begin));
  file_.append(u32(0x07064b50) + u32(0) + u64(end) + u32(1));
  const std::string few = u16(std::min<std::uint64_t>(count, 0xffff));
  file_.append(u32(0x06054b50) + u16(0) + u16(0) + few + few + narrow(end - begin) + narrow(begin) +
               u16(0));
}

std::string ZipWriter::digest() const {
  std::uint64_t names = 0xcbf29ce484222325ULL, contents = names;  // FNV-1a
  const auto mix = [](std::uint64_t& hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x100000001b3ULL;
  };
  for (const Record& record : records_) {
    for (const char c : record.name) {
      mix(names, static_cast<unsigned char>(c));
    }
    mix(contents, record.crc);
  }
  const auto digits = [](std::uint64_t value) {
    const std::string text = std::to_string(value);
    return std::string(20 - text.size(), '0') + text;
  };
  return digits(names) + digits(contents);
}

}  // namespace batchscope::models
