#include "engine/data/voc_annotation.h"

#include "engine/contract/error.h"
#include "engine/data/xml_encoding.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <expat.h>
#include <memory>
#include <string_view>

namespace batchscope::train {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr const char* kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  return begin == std::string_view::npos
             ? std::string_view()
             : text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

/// Which corners of the present object were there.
struct Seen {
  bool name = false, box = false;
  std::array<bool, 4> corners{};
};

/// Receives the elements of one file. Exceptions do not cross expat: the first is kept, the parser
/// stopped.
class VocReader {
 public:
  explicit VocReader(const std::string& path) : path_(path), parser_(XML_ParserCreate(nullptr)) {
    if (parser_ == nullptr) {
      throw std::bad_alloc();
    }
    XML_SetUserData(parser_, this);
    XML_SetElementHandler(parser_, &VocReader::on_start, &VocReader::on_end);
    XML_SetCharacterDataHandler(parser_, &VocReader::on_text);
    XML_SetUnknownEncodingHandler(parser_, &VocReader::on_encoding, this);
  }
  ~VocReader() { XML_ParserFree(parser_); }
  VocReader(const VocReader&) = delete;
  VocReader& operator=(const VocReader&) = delete;

  VocAnnotation read();

 private:
  [[noreturn]] void fail(const std::string& sentence) const {
    throw contract::DataError("The annotation file '" + path_ + "', line " +
                              std::to_string(XML_GetCurrentLineNumber(parser_)) + ", column " +
                              std::to_string(XML_GetCurrentColumnNumber(parser_) + 1) + ": " +
                              sentence + ".");
  }
  void feed(const char* bytes, int count, bool last);
  void start(std::string_view name);
  void end();
  void end_object();
  void value(std::string_view name, std::string_view text);
  double number(std::string_view name, std::string_view text) const;
  bool in(std::string_view place) const { return place_ == place; }

  template <typename Act>
  static void guarded(void* self, const Act& act) noexcept {
    VocReader& reader = *static_cast<VocReader*>(self);
    if (reader.error_) {
      return;
    }
    try {
      act(reader);
    } catch (...) {
      reader.error_ = std::current_exception();
      XML_StopParser(reader.parser_, XML_FALSE);
    }
  }
  static void on_start(void* self, const XML_Char* name, const XML_Char** /*attributes*/) {
    guarded(self, [name](VocReader& r) { r.start(name); });
  }
  static void on_end(void* self, const XML_Char* /*name*/) {
    guarded(self, [](VocReader& r) { r.end(); });
  }
  static void on_text(void* self, const XML_Char* text, int count) {
    guarded(self,
            [text, count](VocReader& r) { r.text_.append(text, static_cast<std::size_t>(count)); });
  }
  static int on_encoding(void* self, const XML_Char* name, XML_Encoding* encoding) noexcept {
    guarded(self, [name](VocReader& r) { r.encoding_ = name; });
    return know_encoding(name, *encoding) ? XML_STATUS_OK : XML_STATUS_ERROR;
  }

  std::string path_;
  XML_Parser parser_;
  std::string encoding_;  // that expat does not know
  std::exception_ptr error_;
  std::string place_;  // "annotation/object/bndbox"
  std::string text_;
  Seen seen_;
  VocAnnotation out_;
};

VocAnnotation VocReader::read() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path_.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) {
    throw contract::DataError("The annotation file '" + path_ +
                              "' cannot be opened: " + std::strerror(errno) + ".");
  }
  std::array<char, 1 << 14> chunk{};
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    feed(chunk.data(), static_cast<int>(count), false);
  }
  if (std::ferror(file.get()) != 0) {
    throw contract::DataError("The annotation file '" + path_ +
                              "' cannot be read: " + std::strerror(errno) + ".");
  }
  feed(chunk.data(), 0, true);
  return std::move(out_);
}

void VocReader::feed(const char* bytes, int count, bool last) {
  if (XML_Parse(parser_, bytes, count, last ? 1 : 0) != XML_STATUS_ERROR) {
    return;
  }
  if (error_) {
    std::rethrow_exception(error_);
  }
  const XML_Error code = XML_GetErrorCode(parser_);
  if (code == XML_ERROR_UNKNOWN_ENCODING) {
    fail("the encoding '" + encoding_ + "' is not known; expected one of iconv's, such as UTF-8");
  }
  fail(std::string("not valid XML: ") + XML_ErrorString(code));
}

void VocReader::start(std::string_view name) {
  text_.clear();
  if (place_.empty() && name != "annotation") {
    fail("expected the element <annotation>, found <" + std::string(name) + ">");
  }
  place_ += place_.empty() ? std::string(name) : "/" + std::string(name);
  if (in("annotation/object")) {
    out_.objects.emplace_back();
    seen_ = {};
  } else if (in("annotation/object/bndbox")) {
    seen_.box = true;
  }
}

void VocReader::end() {
  const std::size_t slash = place_.rfind('/');
  const std::string name = slash == std::string::npos ? place_ : place_.substr(slash + 1);
  value(name, trimmed(text_));
  if (in("annotation/object")) {
    end_object();
  }
  place_.resize(slash == std::string::npos ? 0 : slash);
  text_.clear();
}

void VocReader::end_object() {
  constexpr std::array<const char*, 4> kCorners = {"xmin", "ymin", "xmax", "ymax"};
  const std::string object = "object " + std::to_string(out_.objects.size());
  if (!seen_.name) {
    fail(object + " has no <name>");
  }
  if (!seen_.box) {
    fail(object + " has no <bndbox>");
  }
  for (std::size_t i = 0; i < kCorners.size(); ++i) {
    if (!seen_.corners[i]) {
      fail("the <bndbox> of " + object + " has no <" + kCorners[i] + ">");
    }
  }
}

void VocReader::value(std::string_view name, std::string_view text) {
  if (in("annotation/filename")) {
    out_.filename = text;
  } else if (in("annotation/size/width")) {
    out_.width = static_cast<std::int64_t>(number(name, text));
  } else if (in("annotation/size/height")) {
    out_.height = static_cast<std::int64_t>(number(name, text));
  } else if (in("annotation/object/name") && !text.empty()) {
    out_.objects.back().name = text;
    seen_.name = true;
  } else if (in("annotation/object/difficult")) {
    out_.objects.back().difficult = !text.empty() && number(name, text) != 0;
  } else if (place_.starts_with("annotation/object/bndbox/")) {
    VocObject& o = out_.objects.back();
    const std::array<std::pair<std::string_view, double*>, 4> corners = {
        {{"xmin", &o.xmin}, {"ymin", &o.ymin}, {"xmax", &o.xmax}, {"ymax", &o.ymax}}};
    for (std::size_t i = 0; i < corners.size(); ++i) {
      if (place_.substr(place_.rfind("bndbox/") + 7) == corners[i].first) {
        *corners[i].second = number(name, text);
        seen_.corners[i] = true;
      }
    }
  }
}

double VocReader::number(std::string_view name, std::string_view text) const {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // from_chars reads "nan", which is not above 1e9 either.
  if (error != std::errc() || end != text.data() + text.size() || !(std::abs(value) <= 1e9)) {
    fail("<" + std::string(name) + ">: expected a number of pixels, found '" +
         std::string(text.substr(0, 40)) + "'");
  }
  return value;
}

}  // namespace

VocAnnotation read_voc_annotation(const std::string& path) {
  return VocReader(path).read();
}

}  // namespace batchscope::train
