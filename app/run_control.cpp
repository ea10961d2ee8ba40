#include "app/run_control.h"

#include "app/small_json.h"
#include "engine/contract/error.h"
#include "engine/control/control_client.h"
#include "engine/control/control_server.h"
#include "engine/control/host_name.h"
#include "storage/catalogue.h"
#include "storage/run_files.h"
#include "storage/run_lock.h"
#include "storage/run_reader.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;

std::string socket_of(const fs::path& folder) {
  const std::optional<SmallJson> control = SmallJson::read(folder / storage::kControlFile);
  if (!control) {
    throw contract::PeerError("Run " + folder.filename().string() +
                              " listens to nobody: it is not running.");
  }
  std::string socket = control->text("socket");
  const std::string host = control->has("host") ? control->text("host") : "";
  if (!host.empty() && host != train::host_name()) {
    throw contract::PeerError(
        "Run " + folder.filename().string() + " runs on " + host + ", this is " +
        train::host_name() + ": give the command there (ssh " + host +
        " batchscope-engine ...), or here with --socket run.sock after ssh -fNL run.sock:" +
        socket + " " + host + ".");
  }
  return socket;
}

/// The reply comes before the record of the checkpoint is committed.
void wait_for_record(const fs::path& folder, const std::string& file, double timeout_seconds) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_seconds);
  while (std::chrono::steady_clock::now() < end) {
    storage::RunReader reader(folder);
    const auto states = reader.checkpoints();
    const bool found = std::any_of(
        states.begin(), states.end(), [&](const auto& state) { return state.file == file; });
    if (found) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  throw contract::PeerError("The checkpoint " + file + " did not appear in the run's record.");
}

}  // namespace

contract::Reply call_run(const fs::path& folder,
                         const contract::CommandBody& body,
                         double timeout_seconds,
                         const std::string& socket) {
  train::ControlClient client(socket.empty() ? socket_of(folder) : socket);
  contract::Reply reply = client.call(body, timeout_seconds);
  if (!reply.ok) {
    throw contract::SpecError(reply.field, reply.error);
  }
  return reply;
}

bool run_listens(const fs::path& folder) {
  return fs::exists(folder / storage::kControlFile) && storage::run_is_locked(folder);
}

RunOrigin newest_origin(const fs::path& run, double timeout_seconds) {
  if (fs::is_directory(run) && run_listens(run)) {
    const contract::Reply reply = call_run(run, contract::CheckpointCommand{}, timeout_seconds);
    wait_for_record(run, reply.detail, timeout_seconds);
    return find_origin(run, reply.step, reply.detail);
  }
  const std::vector<std::int64_t> saved = saved_steps(run);
  return find_origin(run, saved.empty() ? last_live_step(run) : saved.back());
}

}  // namespace batchscope::app
