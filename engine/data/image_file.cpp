#include "engine/data/image_file.h"

#include "engine/contract/error.h"
#include "engine/data/picture_format.h"

#include <array>
#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <jerror.h>
#include <jpeglib.h>
#include <memory>
#include <png.h>
#include <vector>

// libjpeg and libpng leave by longjmp. Every function that calls setjmp therefore has only trivial
// locals, and memory is taken outside of it.

namespace batchscope::train {
namespace {

constexpr std::int64_t kMaxPixels = std::int64_t{256} << 20;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw contract::DataError("The picture '" + name + "' " + what + ".");
}

void require_picture_size(const std::string& name, std::int64_t width, std::int64_t height) {
  if (width < 1 || height < 1 || width * height > kMaxPixels) {
    fail(name,
         "has " + std::to_string(width) + "x" + std::to_string(height) +
             " pixels; expected 1 to 256 million");
  }
}

/// Storage for decoded rows, [H, W, 3].
torch::Tensor new_rows(std::int64_t height, std::int64_t width) {
  return torch::empty({height, width, 3}, torch::kUInt8);
}

class JpegDecoder {
 public:
  explicit JpegDecoder(std::span<const std::uint8_t> bytes) : bytes_(bytes) {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = &JpegDecoder::on_error;
    errors_.emit_message = &JpegDecoder::on_message;
    errors_.output_message = [](j_common_ptr) {};
  }
  ~JpegDecoder() {
    if (created_) {
      jpeg_destroy_decompress(&info_);
    }
  }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /// False: the header is damaged; message() says how.
  bool start() {
    if (setjmp(place_) != 0) {
      return false;
    }
    jpeg_create_decompress(&info_);
    created_ = true;
    jpeg_mem_src(&info_, bytes_.data(), bytes_.size());
    jpeg_read_header(&info_, TRUE);
    cmyk_ = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    info_.out_color_space = cmyk_ ? JCS_CMYK : JCS_RGB;
    info_.dct_method = JDCT_ISLOW;
    return true;
  }
  /// Writes width·height·3 values. `row` holds 4·width bytes. False: damaged.
  bool read(std::uint8_t* out, std::uint8_t* row) {
    if (setjmp(place_) != 0) {
      return false;
    }
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height) {
      std::uint8_t* line = out + std::size_t{3} * info_.output_scanline *
                                     static_cast<std::size_t>(info_.output_width);
      JSAMPROW target = cmyk_ ? row : line;
      jpeg_read_scanlines(&info_, &target, 1);
      if (cmyk_) {
        cmyk_to_rgb(row, line, info_.output_width);
      }
    }
    jpeg_finish_decompress(&info_);
    return true;
  }
  std::int64_t width() const { return info_.image_width; }
  std::int64_t height() const { return info_.image_height; }
  const char* message() const { return message_.data(); }

 private:
  static JpegDecoder& self(j_common_ptr info) {
    return *static_cast<JpegDecoder*>(info->client_data);
  }
  static void on_error(j_common_ptr info) {
    JpegDecoder& decoder = self(info);
    info->err->format_message(info, decoder.message_.data());
    std::longjmp(decoder.place_, 1);
  }
  /// Warnings that mean lost picture content are errors; odd but harmless headers are not.
  static void on_message(j_common_ptr info, int level) {
    if (level >= 0) {
      return;
    }
    switch (info->err->msg_code) {
      case JWRN_JPEG_EOF:
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
      case JWRN_MUST_RESYNC:
      case JWRN_BOGUS_PROGRESSION:
        on_error(info);
        break;
      default:
        break;
    }
  }
  /// Adobe's inverted CMYK to RGB as PIL rounds it: value · black / 255.
  static void cmyk_to_rgb(const std::uint8_t* in, std::uint8_t* out, JDIMENSION width) {
    for (JDIMENSION x = 0; x < width; ++x, in += 4, out += 3) {
      const unsigned black = in[3];
      for (int c = 0; c < 3; ++c) {
        const unsigned product = (255U - in[c]) * black + 128;
        out[c] = static_cast<std::uint8_t>(black - (((product >> 8) + product) >> 8));
      }
    }
  }

  std::span<const std::uint8_t> bytes_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf place_{};
  std::array<char, JMSG_LENGTH_MAX> message_{};
  bool created_ = false, cmyk_ = false;
};

class PngDecoder {
 public:
  explicit PngDecoder(std::span<const std::uint8_t> bytes) : rest_(bytes) {
    png_ = png_create_read_struct(
        PNG_LIBPNG_VER_STRING, this, &on_error, [](png_structp, png_const_charp) {});
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
  }
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  /// False: the header is damaged; message() says how.
  bool start() {
    if (png_ == nullptr || info_ == nullptr || setjmp(png_jmpbuf(png_)) != 0) {
      return false;
    }
    png_set_read_fn(png_, this, &on_read);
    png_read_info(png_, info_);
    const png_byte colour = png_get_color_type(png_, info_);
    if (colour == PNG_COLOR_TYPE_PALETTE) {
      png_set_palette_to_rgb(png_);
    } else if ((colour & PNG_COLOR_MASK_COLOR) == 0) {
      png_set_expand_gray_1_2_4_to_8(png_);
      png_set_gray_to_rgb(png_);
    }
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }
  /// Writes width·height·3 values. False: damaged.
  bool read(std::uint8_t* out) {
    if (setjmp(png_jmpbuf(png_)) != 0) {
      return false;
    }
    for (int pass = 0; pass < passes_; ++pass) {
      for (std::int64_t y = 0; y < height(); ++y) {
        png_read_row(png_, out + 3 * y * width(), nullptr);
      }
    }
    return true;
  }
  bool is_rgb() const {
    return png_get_rowbytes(png_, info_) == std::size_t{3} * static_cast<std::size_t>(width());
  }
  std::int64_t width() const { return png_get_image_width(png_, info_); }
  std::int64_t height() const { return png_get_image_height(png_, info_); }
  const char* message() const { return message_.data(); }

 private:
  static void on_error(png_structp png, png_const_charp text) {
    auto& decoder = *static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::snprintf(decoder.message_.data(), decoder.message_.size(), "%s", text);
    png_longjmp(png, 1);
  }
  static void on_read(png_structp png, png_bytep out, std::size_t count) {
    auto& decoder = *static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (count > decoder.rest_.size()) {
      png_error(png, "the file ends too early");
    }
    std::memcpy(out, decoder.rest_.data(), count);
    decoder.rest_ = decoder.rest_.subspan(count);
  }

  std::span<const std::uint8_t> rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1;
  std::array<char, 200> message_{};
};

torch::Tensor decode_jpeg(std::span<const std::uint8_t> bytes, const std::string& name) {
  JpegDecoder decoder(bytes);
  if (!decoder.start()) {
    fail(name, std::string("is a damaged JPEG file: ") + decoder.message());
  }
  require_picture_size(name, decoder.width(), decoder.height());
  torch::Tensor rows = new_rows(decoder.height(), decoder.width());
  std::vector<std::uint8_t> row(4 * static_cast<std::size_t>(decoder.width()));
  if (!decoder.read(rows.data_ptr<std::uint8_t>(), row.data())) {
    fail(name, std::string("is a damaged JPEG file: ") + decoder.message());
  }
  return rows;
}

torch::Tensor decode_png(std::span<const std::uint8_t> bytes, const std::string& name) {
  PngDecoder decoder(bytes);
  if (!decoder.start()) {
    fail(name, std::string("is a damaged PNG file: ") + decoder.message());
  }
  require_picture_size(name, decoder.width(), decoder.height());
  if (!decoder.is_rgb()) {
    fail(name, "is a PNG file whose colours cannot be read as RGB");
  }
  torch::Tensor rows = new_rows(decoder.height(), decoder.width());
  if (!decoder.read(rows.data_ptr<std::uint8_t>())) {
    fail(name, std::string("is a damaged PNG file: ") + decoder.message());
  }
  return rows;
}

std::vector<std::uint8_t> read_bytes(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) {
    fail(path,
         errno == ENOENT ? "does not exist"
                         : std::string("cannot be opened: ") + std::strerror(errno));
  }
  std::vector<std::uint8_t> bytes;
  std::array<std::uint8_t, 1 << 16> chunk{};
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(count));
  }
  if (std::ferror(file.get()) != 0) {
    fail(path, std::string("cannot be read: ") + std::strerror(errno));
  }
  return bytes;
}

}  // namespace

torch::Tensor decode_picture(std::span<const std::uint8_t> bytes, const std::string& name) {
  constexpr std::array<std::uint8_t, 3> kJpeg = {0xff, 0xd8, 0xff};
  constexpr std::array<std::uint8_t, 8> kPng = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  const auto begins_with = [bytes](auto magic) {
    return bytes.size() >= magic.size() &&
           std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
  };
  if (bytes.empty()) {
    fail(name, "is an empty file");
  }
  if (begins_with(kJpeg)) {
    return decode_jpeg(bytes, name).permute({2, 0, 1});
  }
  if (begins_with(kPng)) {
    return decode_png(bytes, name).permute({2, 0, 1});
  }
  fail(name, other_format(bytes));
}

torch::Tensor read_picture(const std::string& path) {
  return decode_picture(read_bytes(path), path);
}

}  // namespace batchscope::train
