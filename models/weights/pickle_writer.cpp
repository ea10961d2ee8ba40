#include "models/weights/pickle_writer.h"

#include "models/weights/weight_error.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>

namespace batchscope::models {
namespace {

constexpr std::size_t kBatch = 1000;  // items that Python's pickler sets at once

/// Python's pickler, for what a state_dict needs.
class Pickler {
 public:
  std::string bytes = "\x80\x02";

  void op(char code) { bytes += code; }
  void put() {
    const std::uint32_t place = next_++;
    if (place < 256) {
      op('q');
      number(place, 1);
    } else {
      op('r');
      number(place, 4);
    }
  }
  void text(const std::string& value) {
    op('X');
    number(value.size(), 4);
    bytes += value;
    put();
  }
  void integer(std::uint64_t value) {
    if (value < 256) {
      op('K');
      number(value, 1);
    } else if (value < 65536) {
      op('M');
      number(value, 2);
    } else if (value <= std::numeric_limits<std::int32_t>::max()) {
      op('J');
      number(value, 4);
    } else {
      // Two's complement, so that the highest bit is the sign's.
      std::uint64_t size = 1;
      while (size < 8 && value >> (8 * size - 1) != 0) {
        ++size;
      }
      op('\x8a');
      number(size, 1);
      number(value, size);
    }
  }
  /// What Python would write once and then refer to: a global or an interned string.
  void once(const std::string& key, const std::function<void()>& write) {
    const auto known = places_.find(key);
    if (known == places_.end()) {
      write();
      places_.emplace(key, next_ - 1);
      return;
    }
    if (known->second < 256) {
      op('h');
      number(known->second, 1);
    } else {
      op('j');
      number(known->second, 4);
    }
  }
  void global(const std::string& module, const std::string& name) {
    once("c" + module + "\n" + name, [&] {
      bytes += "c" + module + "\n" + name + "\n";
      put();
    });
  }
  void word(const std::string& value) {
    once("X" + value, [&] { text(value); });
  }
  void integers(const std::vector<std::int64_t>& values) {
    if (values.empty()) {
      op(')');
      return;
    }
    if (values.size() > 3) {
      op('(');
    }
    for (const std::int64_t value : values) {
      integer(static_cast<std::uint64_t>(value));
    }
    op(values.size() > 3 ? 't' : static_cast<char>(0x84 + values.size()));
    put();
  }
  void empty_ordered_dict() {
    global("collections", "OrderedDict");
    bytes += ")R";
    put();
  }
  /// The items of a dict that is on top.
  void items(std::size_t count, const std::function<void(std::size_t)>& write) {
    for (std::size_t first = 0; first < count; first += kBatch) {
      const std::size_t last = std::min(count, first + kBatch);
      const bool alone = last - first == 1;
      if (!alone) {
        op('(');
      }
      for (std::size_t i = first; i < last; ++i) {
        write(i);
      }
      op(alone ? 's' : 'u');
    }
  }

 private:
  void number(std::uint64_t value, std::uint64_t size) {
    for (std::uint64_t i = 0; i < size; ++i) {
      bytes += static_cast<char>(value >> (8 * i) & 0xff);
    }
  }

  std::uint32_t next_ = 0;
  std::map<std::string, std::uint32_t> places_;
};

void write_storage(Pickler& out, const TensorSpec& tensor, std::size_t number) {
  const char* typed = storage_class(tensor.type);
  const std::uint64_t count = element_count(tensor.shape, tensor.type).value();
  out.op('(');
  out.word("storage");
  if (typed != nullptr) {
    out.global("torch", typed);
  } else {
    out.global("torch.storage", "UntypedStorage");
  }
  out.text(std::to_string(number));
  out.word("cpu");
  out.integer(typed != nullptr ? count : count * element_size(tensor.type));
  out.op('t');
  out.put();
  out.op('Q');
}

void write_tensor(Pickler& out, const TensorSpec& tensor, std::size_t number) {
  const bool typed = storage_class(tensor.type) != nullptr;
  out.text(tensor.name);
  out.global("torch._utils", typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
  out.op('(');
  write_storage(out, tensor, number);
  out.integer(0);  // first element
  out.integers(tensor.shape);
  out.integers(contiguous_strides(tensor.shape));
  out.op('\x89');            // requires_grad
  out.empty_ordered_dict();  // hooks
  if (!typed) {
    out.global("torch", python_name(tensor.type));
  }
  out.op('t');
  out.put();
  out.op('R');
  out.put();
}

}  // namespace

std::string state_dict_pickle(const std::vector<TensorSpec>& tensors,
                              const std::vector<std::pair<std::string, std::int64_t>>& versions) {
  std::set<std::string> names;
  for (const TensorSpec& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      throw std::invalid_argument("pth: tensor " + shown(tensor.name) + " stands twice");
    }
  }
  Pickler out;
  out.empty_ordered_dict();
  out.items(tensors.size(), [&](std::size_t i) { write_tensor(out, tensors[i], i); });
  if (!versions.empty()) {
    out.op('}');
    out.put();
    out.text("_metadata");
    out.empty_ordered_dict();
    out.items(versions.size(), [&](std::size_t i) {
      out.text(versions[i].first);
      out.op('}');
      out.put();
      out.word("version");
      out.integer(static_cast<std::uint64_t>(versions[i].second));
      out.op('s');
    });
    out.bytes += "sb";
  }
  out.op('.');
  return out.bytes;
}

}  // namespace batchscope::models
