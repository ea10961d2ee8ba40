#include "engine/metrics/label_map.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <png.h>
#include <unordered_map>

// libpng leaves by longjmp. Every function that calls setjmp has only trivial locals, and memory is
// taken outside of it.

namespace batchscope::train {
namespace {

constexpr std::uint64_t kMaxPixels = std::uint64_t{256} << 20;

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw contract::DataError("The label picture '" + path + "' " + what + ".");
}

class PngFile {
 public:
  explicit PngFile(std::FILE* file) {
    png_ = png_create_read_struct(
        PNG_LIBPNG_VER_STRING, this, &on_error, [](png_structp, png_const_charp) {});
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
    file_ = file;
  }
  ~PngFile() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngFile(const PngFile&) = delete;
  PngFile& operator=(const PngFile&) = delete;

  /// False: the header is damaged; message() says how.
  bool start() {
    if (png_ == nullptr || info_ == nullptr || setjmp(png_jmpbuf(png_)) != 0) {
      return false;
    }
    png_init_io(png_, file_);
    png_read_info(png_, info_);
    png_set_packing(png_);
    if (colour_type() != PNG_COLOR_TYPE_PALETTE) {
      png_set_strip_alpha(png_);
    }
    if (depth() == 16) {
      png_set_swap(png_);  // the file's are big-endian
    }
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }
  /// Reads all rows of row_bytes() each. False: damaged.
  bool read(std::uint8_t* out) {
    if (setjmp(png_jmpbuf(png_)) != 0) {
      return false;
    }
    for (int pass = 0; pass < passes_; ++pass) {
      for (std::uint32_t y = 0; y < height(); ++y) {
        png_read_row(png_, out + row_bytes() * y, nullptr);
      }
    }
    png_read_end(png_, nullptr);
    return true;
  }
  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  std::uint32_t width() const { return png_get_image_width(png_, info_); }
  std::uint32_t height() const { return png_get_image_height(png_, info_); }
  int depth() const { return png_get_bit_depth(png_, info_); }
  int colour_type() const { return png_get_color_type(png_, info_); }
  bool colours() const { return (colour_type() & ~PNG_COLOR_MASK_ALPHA) == PNG_COLOR_TYPE_RGB; }
  const char* message() const { return message_.data(); }

 private:
  static void on_error(png_structp png, png_const_charp text) {
    auto& self = *static_cast<PngFile*>(png_get_error_ptr(png));
    std::snprintf(self.message_.data(), self.message_.size(), "%s", text);
    png_longjmp(png, 1);
  }

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::FILE* file_ = nullptr;
  int passes_ = 1;
  std::array<char, 200> message_{};
};

void require_kind(const PngFile& png, const std::string& path, LabelCoding coding) {
  const std::uint64_t pixels = std::uint64_t{png.width()} * png.height();
  if (pixels > kMaxPixels) {
    fail(path,
         "has " + std::to_string(png.width()) + "x" + std::to_string(png.height()) +
             " pixels; expected at most 256 million");
  }
  if (coding == LabelCoding::kPanoptic && (!png.colours() || png.depth() != 8)) {
    fail(path, "is not an 8-bit RGB PNG; expected one, with ids as R + 256 G + 65536 B");
  }
  if (coding == LabelCoding::kSemantic && png.colours()) {
    fail(path, "has colours; expected a grey or palette PNG whose values are the categories");
  }
}

LabelMap unpack(const PngFile& png, const std::vector<std::uint8_t>& bytes) {
  LabelMap map{png.height(), png.width(), {}};
  map.labels.resize(std::size_t{map.height} * map.width);
  const std::size_t step = png.row_bytes() / map.width;
  std::uint32_t* label = map.labels.data();
  for (std::size_t y = 0; y < map.height; ++y) {
    const std::uint8_t* pixel = bytes.data() + y * png.row_bytes();
    for (std::size_t x = 0; x < map.width; ++x, pixel += step) {
      *label++ = step == 3   ? pixel[0] | pixel[1] << 8 | pixel[2] << 16
                 : step == 2 ? static_cast<std::uint32_t>(pixel[0] | pixel[1] << 8)
                             : pixel[0];
    }
  }
  return map;
}

}  // namespace

LabelMap read_label_map(const std::string& path, LabelCoding coding) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) {
    fail(path,
         errno == ENOENT ? "does not exist"
                         : std::string("cannot be opened: ") + std::strerror(errno));
  }
  PngFile png(file.get());
  if (!png.start()) {
    fail(path, std::string("is no PNG file, or a damaged one: ") + png.message());
  }
  require_kind(png, path, coding);
  std::vector<std::uint8_t> bytes(png.row_bytes() * png.height());
  if (!png.read(bytes.data())) {
    fail(path, std::string("is a damaged PNG file: ") + png.message());
  }
  return unpack(png, bytes);
}

std::vector<LabelPair> count_pairs(const LabelMap& truth, const LabelMap& found) {
  std::unordered_map<std::uint64_t, std::uint64_t> counts;
  const std::size_t pixels = truth.labels.size();
  const auto at = [&](std::size_t i) {
    return std::uint64_t{truth.labels[i]} << 32 | found.labels[i];
  };
  for (std::size_t i = 0; i < pixels;) {  // neighbours are mostly alike
    const std::uint64_t pair = at(i);
    const std::size_t begin = i;
    while (i < pixels && at(i) == pair) {
      ++i;
    }
    counts[pair] += i - begin;
  }
  std::vector<LabelPair> pairs;
  pairs.reserve(counts.size());
  for (const auto& [pair, count] : counts) {
    pairs.push_back(
        {static_cast<std::uint32_t>(pair >> 32), static_cast<std::uint32_t>(pair), count});
  }
  std::sort(pairs.begin(), pairs.end(), [](const LabelPair& a, const LabelPair& b) {
    return a.truth != b.truth ? a.truth < b.truth : a.found < b.found;
  });
  return pairs;
}

void require_same_size(const LabelMap& truth,
                       const std::string& truth_path,
                       const LabelMap& found,
                       const std::string& found_path) {
  if (truth.height != found.height || truth.width != found.width) {
    const auto size = [](const LabelMap& map) {
      return std::to_string(map.width) + "x" + std::to_string(map.height);
    };
    throw contract::DataError("The label picture '" + found_path + "' has " + size(found) +
                              " pixels; expected " + size(truth) + " as '" + truth_path + "'.");
  }
}

}  // namespace batchscope::train
