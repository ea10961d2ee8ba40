#include "engine/distributed/group.h"

#include "engine/contract/error.h"
#include "engine/distributed/activity.h"
#include "engine/distributed/c10d_group.h"
#include "engine/distributed/store_board.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <utility>

namespace batchscope::train {
namespace {

/// Bytes of a small message: short ones, and that there is nothing, cost one collective.
constexpr std::int64_t kSmallMessage = 256;

/// A world of one: nothing to say, nobody to wait for.
class SoloGroup : public Group {
 public:
  std::int64_t rank() const override { return 0; }
  std::int64_t size() const override { return 1; }
  void all_reduce_sum(torch::Tensor&) override {}
  void broadcast(torch::Tensor&, std::int64_t) override {}
  std::string broadcast_bytes(const std::string& bytes, std::int64_t) override { return bytes; }
  std::vector<std::string> all_gather_bytes(const std::string& bytes) override { return {bytes}; }
  void barrier() override {}
  void set_timeout(std::chrono::milliseconds) override {}
  std::shared_ptr<Group> subgroup(std::int64_t, std::int64_t) override {
    return std::make_shared<SoloGroup>();
  }
  std::function<std::vector<RankActivity>()> activities() override {
    return [] { return std::vector<RankActivity>{own_activity()}; };
  }
};

bool is_loopback(const std::string& address) {
  return address == "localhost" || address == "::1" || address.rfind("127.", 0) == 0;
}

std::shared_ptr<::gloo::transport::Device> gloo_device(bool one_machine) {
  using c10d::ProcessGroupGloo;
  if (one_machine) {
    return ProcessGroupGloo::createDeviceForHostname("127.0.0.1");
  }
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  return interface != nullptr && *interface != '\0'
             ? ProcessGroupGloo::createDeviceForInterface(interface)
             : ProcessGroupGloo::createDefaultDevice();
}

/// First line of a library's sentence, without the source place that Gloo puts before it.
std::string first_line(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  if (line.rfind('[', 0) == 0 && line.find("] ") != std::string::npos) {
    line = line.substr(line.find("] ") + 2);
  }
  return line.substr(0, 300);
}

std::string who(std::int64_t rank, std::int64_t size) {
  return "rank " + std::to_string(rank) + " of " + std::to_string(size);
}

torch::Tensor bytes_tensor(std::int64_t size) {
  return torch::zeros({size}, torch::kUInt8);
}

/// Where a write to a dead peer would end the process, it is an error of that write.
void ignore_broken_pipes() {
  struct sigaction action {};
  sigaction(SIGPIPE, nullptr, &action);
  if (action.sa_handler == SIG_DFL) {
    std::signal(SIGPIPE, SIG_IGN);
  }
}

}  // namespace

std::shared_ptr<Group> Group::create(const LaunchEnv& env,
                                     const torch::Device& device,
                                     std::chrono::seconds timeout) {
  if (env.world <= 1) {
    return std::make_shared<SoloGroup>();
  }
  ignore_broken_pipes();
  const During meeting(Activity::kMeeting);
  const std::string place = env.master_address + ":" + std::to_string(env.master_port);
  C10dGroup::Options options;
  options.rank = int(env.rank);
  options.size = int(env.world);
  options.device = device;
  options.one_machine = is_loopback(env.master_address);
  options.timeout = timeout;
  c10d::TCPStoreOptions store;
  store.port = std::uint16_t(env.master_port);
  store.isServer = env.rank == 0 && !env.agent_store;
  store.waitWorkers = !env.agent_store;
  store.numWorkers = std::size_t(env.world);
  store.timeout = timeout;
  if (env.rank == 0 && env.store_fd >= 0) {
    store.masterListenFd = env.store_fd;
  }
  try {
    options.store = c10::make_intrusive<c10d::TCPStore>(env.master_address, store);
    if (env.agent_store) {
      // It keeps what earlier attempts left there: addresses of ranks that are gone.
      options.store = c10::make_intrusive<c10d::PrefixStore>(
          "batchscope/" + env.job + "/" + std::to_string(env.attempt), options.store);
    }
    return std::make_shared<C10dGroup>(options);
  } catch (const contract::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw contract::PeerError(who(env.rank, env.world) + " could not meet the others at " + place +
                              " within " + std::to_string(timeout.count()) +
                              " s: " + first_line(error.what()));
  }
}

C10dGroup::C10dGroup(Options options) : options_(std::move(options)) {
  process_group_ =
      c10::make_intrusive<c10d::ProcessGroup>(options_.store, options_.rank, options_.size);
  auto gloo_options = c10d::ProcessGroupGloo::Options::create(options_.timeout);
  gloo_options->devices.push_back(gloo_device(options_.one_machine));
  auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(
      c10::make_intrusive<c10d::PrefixStore>("gloo", options_.store),
      options_.rank,
      options_.size,
      gloo_options);
  process_group_->setBackend(c10::DeviceType::CPU,
                             c10d::ProcessGroup::BackendType::GLOO,
                             c10::static_intrusive_pointer_cast<c10d::Backend>(gloo));
  if (options_.device.is_cuda()) {
    add_nccl(*process_group_, options_);
  }
  process_group_->setDefaultBackend(options_.device.is_cuda()
                                        ? c10d::ProcessGroup::BackendType::NCCL
                                        : c10d::ProcessGroup::BackendType::GLOO);
}

void C10dGroup::lost(const std::string& what, const std::exception& error) const {
  throw contract::PeerError(who(rank(), size()) + " lost another rank during " + what + ": " +
                            first_line(error.what()));
}

void C10dGroup::guarded(const std::string& what,
                        Activity activity,
                        const std::function<void()>& communicate) const {
  const During waiting(activity);
  try {
    communicate();
  } catch (const std::exception& error) {
    lost(what, error);
  }
}

void C10dGroup::all_reduce_sum(torch::Tensor& tensor) {
  guarded("all-reduce", Activity::kAllReduce, [&] {
    std::vector<torch::Tensor> tensors = {tensor.contiguous()};
    process_group_->allreduce(tensors)->wait();
    if (!tensors[0].is_same(tensor)) {
      tensor.copy_(tensors[0]);
    }
  });
}

void C10dGroup::broadcast(torch::Tensor& tensor, std::int64_t root) {
  guarded("broadcast", Activity::kBroadcast, [&] {
    c10d::BroadcastOptions options;
    options.rootRank = root;
    std::vector<torch::Tensor> tensors = {tensor.contiguous()};
    process_group_->broadcast(tensors, options)->wait();
    if (!tensors[0].is_same(tensor)) {
      tensor.copy_(tensors[0]);
    }
  });
}

std::string C10dGroup::broadcast_bytes(const std::string& bytes, std::int64_t root) {
  auto length = std::int64_t(bytes.size());
  const std::int64_t room = kSmallMessage - std::int64_t(sizeof length);
  torch::Tensor small = bytes_tensor(kSmallMessage);
  auto* data = small.data_ptr<std::uint8_t>();
  if (rank() == root) {
    std::memcpy(data, &length, sizeof length);
    std::memcpy(data + sizeof length, bytes.data(), std::size_t(std::min(length, room)));
  }
  broadcast(small, root);
  std::memcpy(&length, data, sizeof length);
  std::string out(std::size_t(length), '\0');
  std::memcpy(out.data(), data + sizeof length, std::size_t(std::min(length, room)));
  if (length > room) {
    torch::Tensor rest = bytes_tensor(length - room);
    auto* rest_data = rest.data_ptr<std::uint8_t>();
    if (rank() == root) {
      std::memcpy(rest_data, bytes.data() + room, std::size_t(length - room));
    }
    broadcast(rest, root);
    std::memcpy(out.data() + room, rest_data, std::size_t(length - room));
  }
  return out;
}

std::vector<std::string> C10dGroup::all_gather_bytes(const std::string& bytes) {
  torch::Tensor lengths = torch::zeros({size()}, torch::kInt64);
  lengths[rank()] = std::int64_t(bytes.size());
  all_reduce_sum(lengths);
  const auto longest = lengths.max().item<std::int64_t>();
  std::vector<std::string> out(static_cast<std::size_t>(size()));
  if (longest == 0) {
    return out;
  }
  torch::Tensor own = bytes_tensor(longest);
  std::memcpy(own.data_ptr<std::uint8_t>(), bytes.data(), bytes.size());
  torch::Tensor all = bytes_tensor(longest * size());
  guarded("gathering bytes", Activity::kGather, [&] {
    process_group_->_allgather_base(all, own)->wait();
  });
  for (std::int64_t r = 0; r < size(); ++r) {
    const auto* begin = reinterpret_cast<const char*>(all.data_ptr<std::uint8_t>()) + r * longest;
    out[std::size_t(r)].assign(begin, std::size_t(lengths[r].item<std::int64_t>()));
  }
  return out;
}

void C10dGroup::barrier() {
  // A tensor of the CPU: c10d's own barrier would need a CUDA device under NCCL.
  torch::Tensor nothing = torch::zeros({1});
  all_reduce_sum(nothing);
}

void C10dGroup::set_timeout(std::chrono::milliseconds timeout) {
  options_.timeout = timeout;
  for (const torch::Device& device : process_group_->getDeviceTypes()) {
    process_group_->getBackend(device.type())->setTimeout(timeout);
  }
}

std::shared_ptr<Group> C10dGroup::subgroup(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> ranks(static_cast<std::size_t>(count));
  std::iota(ranks.begin(), ranks.end(), first);
  return subgroup("part " + std::to_string(first) + "+" + std::to_string(count), ranks);
}

std::function<std::vector<RankActivity>()> C10dGroup::activities() {
  return [board = std::make_shared<StoreBoard>(options_.store, rank(), size())] {
    return board->exchange();
  };
}

std::shared_ptr<C10dGroup> C10dGroup::subgroup(const std::string& name,
                                               const std::vector<std::int64_t>& ranks) {
  std::shared_ptr<C10dGroup>& known = subgroups_[name];
  if (!known) {
    Options options = options_;
    options.store = c10::make_intrusive<c10d::PrefixStore>(name, options_.store);
    options.size = int(ranks.size());
    options.rank = int(std::find(ranks.begin(), ranks.end(), rank()) - ranks.begin());
    guarded("forming the group " + name, Activity::kMeeting, [&] {
      known = std::make_shared<C10dGroup>(options);
    });
  }
  return known;
}

}  // namespace batchscope::train
