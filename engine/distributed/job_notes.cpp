#include "engine/distributed/job_notes.h"

#include "engine/contract/error.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <functional>

namespace batchscope::train {

struct JobNotes::Impl {
  c10::intrusive_ptr<c10d::Store> store;
};

namespace {

void ask(const std::function<void()>& question) {
  try {
    question();
  } catch (const std::exception& error) {
    const std::string text = error.what();
    throw contract::PeerError("The store of torchrun's agent does not answer: " +
                              text.substr(0, text.find('\n')));
  }
}

}  // namespace

JobNotes::JobNotes(const LaunchEnv& env) : impl_(std::make_unique<Impl>()) {
  if (!env.agent_store) {
    return;
  }
  ask([&] {
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(env.master_port);
    options.waitWorkers = false;
    options.timeout = std::chrono::seconds(30);
    impl_->store = c10::make_intrusive<c10d::PrefixStore>(
        "batchscope/" + env.job, c10::make_intrusive<c10d::TCPStore>(env.master_address, options));
  });
}

JobNotes::~JobNotes() = default;

std::optional<std::string> JobNotes::find(const std::string& key) const {
  std::optional<std::string> words;
  if (impl_->store) {
    ask([&] {
      if (impl_->store->check({key})) {
        words = impl_->store->get_to_str(key);
      }
    });
  }
  return words;
}

void JobNotes::keep(const std::string& key, const std::string& words) {
  if (impl_->store) {
    ask([&] { impl_->store->set(key, words); });
  }
}

}  // namespace batchscope::train
