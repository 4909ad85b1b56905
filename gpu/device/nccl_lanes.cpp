#include "gpu/device/nccl_lanes.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "core/base/error.h"

namespace meshattn::gpu {

namespace {

bool is_error(ncclResult_t result) { return result != ncclSuccess && result != ncclInProgress; }

/// " (NCCL's last message)", which says more than a result code; empty if there is none.
std::string last_error(ncclComm_t communicator) {
  const char* text = ncclGetLastError(communicator);
  std::string words = text == nullptr ? "" : text;
  words.erase(words.find_last_not_of(" \n") + 1);
  return words.empty() ? words : fmt::format(" ({})", words);
}

std::string text_of(ncclResult_t result, ncclComm_t communicator) {
  return ncclGetErrorString(result) + last_error(communicator);
}

void check(ncclResult_t result, const char* what, ncclComm_t communicator = nullptr) {
  if (is_error(result)) throw DeviceError(fmt::format("NCCL: {}: {}", what, text_of(result, communicator)));
}

/// "rank 1, rank 3": the peers of messages.
std::string peers_text(std::span<const Message> messages) {
  std::vector<std::string> texts;
  for (const Message& m : messages)
    if (std::string text = fmt::format("rank {}", m.peer); std::ranges::find(texts, text) == texts.end())
      texts.push_back(std::move(text));
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace

void require_small_groups(const Program& program) {
  constexpr std::uint32_t kMax = 2048;  // NCCL release notes, 2.11
  for (const Command& command : program.commands)
    if (const auto* group = std::get_if<Group>(&command); group != nullptr && group->message_count > kMax)
      throw InvalidInput(
          fmt::format("an exchange of rank {} has {} messages, and NCCL takes {} in a group: a part of a "
                      "chunk or of its heads takes one for each head and batch item; use fewer or --transport copies",
                      program.rank, group->message_count, kMax));
}

void NcclLanes::initialize(int ranks, std::span<const ncclUniqueId> ids, int max_ctas, Deadline deadline) {
  rank_.use();
  for (const ncclUniqueId& id : ids) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.maxCTAs = max_ctas;
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0)
    config.nChannelsPerNetPeer = max_ctas;  // default 2, or 1 with many ranks, also within a node (NCCL issue 1272)
#endif
    communicators_.push_back(nullptr);
    const ncclResult_t result = ncclCommInitRankConfig(&communicators_.back(), ranks, id, rank_.rank(), &config);
    wait_until_done(static_cast<Lane>(communicators_.size()), result, "initialization", deadline);
  }
}

NcclLanes::~NcclLanes() { abort(); }

void NcclLanes::fail(Lane lane, const char* what, const std::string& why) const {
  throw DeviceError(fmt::format("NCCL: {} on lane {} of rank {}: {}", what, lane, rank_.rank(), why));
}

void NcclLanes::wait_until_done(Lane lane, ncclResult_t result, const char* what, Deadline deadline) const {
  ncclComm_t communicator = communicators_[lane - 1u];
  while (result == ncclInProgress) {
    if (const ncclResult_t asked = ncclCommGetAsyncError(communicator, &result); asked != ncclSuccess) result = asked;
    if (result != ncclInProgress) break;
    if (const char* why = stop_reason(deadline)) fail(lane, what, why + last_error(communicator));
    std::this_thread::yield();
  }
  if (is_error(result)) fail(lane, what, text_of(result, communicator));
}

const char* NcclLanes::stop_reason(Deadline deadline) const {
  if (cancellation_.is_requested()) return kOtherFailed;
  return std::chrono::steady_clock::now() > deadline ? "timed out" : nullptr;
}

void NcclLanes::synchronize(Lane lane, Deadline deadline) const {
  while (!wait_for(rank_.stream(lane), std::chrono::steady_clock::now() + std::chrono::milliseconds(20))) {
    if (const std::string error = async_error(); !error.empty()) throw DeviceError(error);
    if (const char* why = stop_reason(deadline)) fail(lane, "group", why);
  }
}

void NcclLanes::exchange(Lane lane, std::span<const Message> messages, Deadline deadline) const {
  rank_.use();
  ncclComm_t communicator = communicators_[lane - 1u];
  check(ncclGroupStart(), "group", communicator);
  ncclResult_t result = ncclSuccess;
  for (const Message& m : messages) {
    std::byte* at = rank_.arena() + m.offset;
    if (result == ncclSuccess || result == ncclInProgress)
      result = m.direction == Message::Direction::kSend
                   ? ncclSend(at, m.bytes, ncclInt8, m.peer, communicator, rank_.stream(lane))
                   : ncclRecv(at, m.bytes, ncclInt8, m.peer, communicator, rank_.stream(lane));
  }
  const ncclResult_t ended = ncclGroupEnd();  // also after an error: a group that was started must end
  check(result, "send or receive", communicator);
  wait_until_done(lane, ended, "group", deadline);
}

void NcclLanes::warm_up(const Program& program, Deadline deadline) const {
  for (Lane lane = 1; lane <= communicators_.size(); ++lane) {
    std::vector<Message> pairs;
    for (const Command& command : program.commands)
      if (const auto* group = std::get_if<Group>(&command); group != nullptr && group->lane == lane)
        for (Message m : program.messages_of(*group)) {
          const auto same = [&](const Message& other) {
            return other.direction == m.direction && other.peer == m.peer;
          };
          m.bytes = 1;
          if (std::ranges::none_of(pairs, same)) pairs.push_back(m);
        }
    if (pairs.empty()) continue;
    try {
      exchange(lane, pairs, deadline);
      synchronize(lane, deadline);
    } catch (const DeviceError& e) {
      throw DeviceError(fmt::format("{}; while connecting to {}", e.what(), peers_text(pairs)));
    }
  }
}

std::string NcclLanes::async_error() const {
  for (ncclComm_t c : communicators_) {
    if (c == nullptr) continue;
    ncclResult_t result = ncclSuccess;
    if (ncclCommGetAsyncError(c, &result) != ncclSuccess || is_error(result))
      return fmt::format("NCCL: {}", text_of(result, c));
  }
  return "";
}

void NcclLanes::finalize(Deadline deadline) {
  rank_.use();
  for (Lane lane = 1; lane <= communicators_.size(); ++lane) {
    wait_until_done(lane, ncclCommFinalize(communicators_[lane - 1u]), "finalization", deadline);
    check(ncclCommDestroy(std::exchange(communicators_[lane - 1u], nullptr)), "communicator destruction");
  }
}

/// Aborts all lanes in a group: the abort of one alone may wait for the stuck kernel of another.
void NcclLanes::abort() {
  if (std::ranges::all_of(communicators_, [](ncclComm_t c) { return c == nullptr; })) return;
  (void)ncclGroupStart();
  for (ncclComm_t& c : communicators_)
    if (c != nullptr) (void)ncclCommAbort(std::exchange(c, nullptr));
  (void)ncclGroupEnd();
}

ncclUniqueId new_unique_id() {
  ncclUniqueId id;
  check(ncclGetUniqueId(&id), "unique id");
  return id;
}

std::string nccl_version() {
  int version = 0;
  check(ncclGetVersion(&version), "version");
  return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace meshattn::gpu
