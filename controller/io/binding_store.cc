// The store: mailbox, writer thread, what goes wrong and comes right again.
//
// Threads and locks: any thread posts into `inbox_` (inbox_mutex_, held for a push). The inbox is merged
// into `mailbox_` (mailbox_mutex_) by the writer, or by a poster when it has grown and the writer is busy
// with the disk: that is the back-pressure, and it costs memory work only. The writer takes the whole
// mailbox away as `writing_` and writes it without any lock. mailbox_mutex_ comes before inbox_mutex_.
#include "controller/io/binding_store.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "controller/io/store_load.h"
#include "controller/io/store_mailbox.h"
#include "controller/io/store_migrate.h"
#include "controller/io/store_restore.h"
#include "controller/io/store_writer.h"
#include "schema/base/log.h"

namespace dyncast {
namespace {

using std::chrono::milliseconds;
using store::KnownKeys;
using store::Mailbox;
using store::Writer;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr size_t kWakeAt = 4096;     // records in the inbox at which the writer does not wait any longer
constexpr size_t kMergeAt = 8192;    // records in the inbox at which the poster merges them itself
constexpr size_t kPieceRows = 8192;  // rows of one transaction
constexpr size_t kPruneRows = 2000;  // rows deleted by one transaction
constexpr milliseconds kFirstBackoff{10};
constexpr milliseconds kLastBackoff{1000};
constexpr milliseconds kHousekeeping{1000};
constexpr milliseconds kStopPatience{2000};  // how long a stopping store goes on trying

class StoreImpl final : public BindingStore {
 public:
  StoreImpl(const StoreOptions& options, std::unique_ptr<Writer> writer, KnownKeys known)
      : options_(options), writer_(std::move(writer)), known_(std::move(known)) {
    thread_ = std::thread([this] { Run(); });
  }

  ~StoreImpl() override {
    {
      const std::lock_guard<std::mutex> lock(inbox_mutex_);
      stop_ = true;
      stop_by_ = std::chrono::steady_clock::now() + kStopPatience;
    }
    wake_.notify_all();
    thread_.join();
  }

  Result<PersistedState> Load() override {
    Result<store::Database> db = store::OpenForReading(options_.path);
    if (!db.ok()) return db.error();
    return store::LoadState(&*db);
  }

  void Post(Record record) override {
    size_t size = 0;
    {
      const std::lock_guard<std::mutex> lock(inbox_mutex_);
      inbox_.push_back(std::move(record));
      ++posted_;
      size = inbox_.size();
    }
    Posted(size - 1, size);
  }

  void PostMany(std::vector<Record> records) override {
    if (records.empty()) return;
    size_t before = 0;
    size_t size = 0;
    {
      const std::lock_guard<std::mutex> lock(inbox_mutex_);
      before = inbox_.size();
      posted_ += records.size();
      if (inbox_.empty() && inbox_.capacity() < records.size()) {
        inbox_ = std::move(records);
      } else {
        inbox_.insert(inbox_.end(), std::make_move_iterator(records.begin()),
                      std::make_move_iterator(records.end()));
      }
      size = inbox_.size();
    }
    Posted(before, size);
  }

  Status Flush(milliseconds timeout) override {
    std::unique_lock<std::mutex> lock(inbox_mutex_);
    const uint64_t target = posted_;
    flush_target_ = std::max(flush_target_, target);
    wake_.notify_one();
    const bool settled = flushed_.wait_for(lock, timeout, [&] { return synced_ >= target; });
    lock.unlock();
    if (settled) return ReportDropped();
    const StoreCounters now = Counters();
    return MakeError(Errc::kUnavailable,
                     std::to_string(now.pending) + " records are not on disk after " +
                         std::to_string(timeout.count()) + " ms" +
                         (now.healthy ? std::string() : ": " + now.last_error),
                     options_.path);
  }

  StoreCounters Counters() const override {
    const std::lock_guard<std::mutex> mailbox_lock(mailbox_mutex_);
    const std::lock_guard<std::mutex> inbox_lock(inbox_mutex_);
    StoreCounters c;
    c.posted = posted_;
    c.written = written_;
    c.merged = merge_counters_.merged;
    c.dropped = merge_counters_.dropped;
    c.failures = failures_;
    c.pending = inbox_.size() + mailbox_->tokens() + writing_tokens_;
    c.last_error = last_error_;
    c.healthy = healthy_;
    return c;
  }

 private:
  // After the inbox grew from `before` to `after` records.
  void Posted(size_t before, size_t after) {
    if (before == 0 || (before < kWakeAt && after >= kWakeAt)) wake_.notify_one();
    if (after < kMergeAt) return;
    MergeInbox();
    {
      const std::lock_guard<std::mutex> lock(inbox_mutex_);
      mailbox_filled_ = true;
    }
    wake_.notify_one();
  }

  Status ReportDropped() {
    const std::lock_guard<std::mutex> lock(mailbox_mutex_);
    const uint64_t dropped = merge_counters_.dropped - dropped_reported_;
    dropped_reported_ = merge_counters_.dropped;
    if (dropped == 0) return Ok();
    return MakeError(Errc::kLimit,
                     std::to_string(dropped) + " records were dropped since the last flush: more than " +
                         std::to_string(options_.max_pending) + " waited",
                     options_.path);
  }

  void MergeInbox() {
    const std::lock_guard<std::mutex> mailbox_lock(mailbox_mutex_);
    uint64_t upto = 0;
    {
      const std::lock_guard<std::mutex> inbox_lock(inbox_mutex_);
      std::swap(inbox_, merging_);
      upto = posted_;
    }
    const uint64_t dropped_before = merge_counters_.dropped;
    const Mailbox::Around around{
        .known = &known_, .writing = writing_.get(), .max_weight = options_.max_pending};
    for (Record& record : merging_) mailbox_->Merge(std::move(record), around, &merge_counters_);
    merging_.clear();
    merged_upto_ = upto;
    if (merge_counters_.dropped != dropped_before) {
      DYN_WARN("DC-DB-002", "store", "records-dropped", "file={} dropped={} limit={} error={}", options_.path,
               merge_counters_.dropped, options_.max_pending, last_error_);
    }
  }

  // ---- The writer's thread ----

  void Run() {
    next_housekeeping_ = std::chrono::steady_clock::now() + kHousekeeping;
    while (true) {
      const bool stopping = WaitForWork();
      MergeInbox();
      uint64_t upto = 0;
      if (TakeMailbox(&upto) && !WriteTaken()) break;
      written_upto_ = upto;
      if (!AnswerFlush()) break;
      if (stopping) break;
      if (std::chrono::steady_clock::now() >= next_housekeeping_) Housekeep();
    }
    writer_.reset();
  }

  // Returns true when the store is stopping.
  bool WaitForWork() {
    std::unique_lock<std::mutex> lock(inbox_mutex_);
    const auto urgent = [this] {
      return stop_ || flush_target_ > synced_ || inbox_.size() >= kWakeAt || mailbox_filled_;
    };
    wake_.wait_until(lock, next_housekeeping_, [&] { return urgent() || !inbox_.empty(); });
    if (!inbox_.empty() && !urgent()) wake_.wait_for(lock, options_.flush_interval, urgent);
    mailbox_filled_ = false;
    return stop_;
  }

  bool TakeMailbox(uint64_t* upto) {
    const std::lock_guard<std::mutex> lock(mailbox_mutex_);
    *upto = merged_upto_;
    if (mailbox_->empty()) return false;
    writing_ = std::exchange(mailbox_, std::move(spare_));
    writing_tokens_ = writing_->tokens();
    return true;
  }

  // Writes the taken generation, however often it takes; false if the store stopped before the end.
  bool WriteTaken() {
    store::WritePosition position;
    bool last = false;
    while (!last) {
      Status ready = EnsureWriter();
      Result<store::Piece> piece =
          ready.ok() ? writer_->Write(*writing_, position, kPieceRows) : Result<store::Piece>(ready.error());
      if (!piece.ok()) {
        NoteFailure(piece.error());
        if (!BackOff()) return GiveUp();
        continue;
      }
      position = piece->next;
      last = piece->last;
      history_since_prune_ += piece->history_rows;
      dirty_since_checkpoint_ = true;
      NoteSuccess();
      const std::lock_guard<std::mutex> lock(mailbox_mutex_);
      for (uint64_t hash : piece->keys.inserted) known_.Insert(hash);
      for (uint64_t hash : piece->keys.erased) known_.Erase(hash);
      written_ += piece->tokens;
      writing_tokens_ -= piece->tokens;
    }
    {
      const std::lock_guard<std::mutex> lock(mailbox_mutex_);
      spare_ = std::move(writing_);
    }
    spare_->Clear();
    return true;
  }

  bool GiveUp() {
    const std::lock_guard<std::mutex> lock(mailbox_mutex_);
    const std::lock_guard<std::mutex> inbox_lock(inbox_mutex_);
    DYN_ERROR("DC-DB-003", "store", "lost-at-stop", "file={} records={} error={}", options_.path,
              writing_tokens_ + mailbox_->tokens() + inbox_.size(), last_error_);
    return false;
  }

  Status EnsureWriter() {
    if (writer_ != nullptr && !writer_->db().HasMoved()) return Ok();
    Status restored = store::RestoreRemovedFile(options_.path, &writer_);
    if (restored.ok()) {
      DYN_WARN("DC-DB-004", "store", "file-restored", "file={} rule=the file was removed while in use",
               options_.path);
    }
    return restored;
  }

  // Makes what is written durable if a Flush waits for it; false if the store stopped first.
  bool AnswerFlush() {
    {
      const std::lock_guard<std::mutex> lock(inbox_mutex_);
      if (flush_target_ <= synced_) return true;
    }
    while (true) {
      Status ready = EnsureWriter();
      if (ready.ok()) ready = writer_->db().SyncLog();
      if (ready.ok()) break;
      NoteFailure(ready.error());
      if (!BackOff()) return false;
    }
    NoteSuccess();
    {
      const std::lock_guard<std::mutex> lock(inbox_mutex_);
      synced_ = written_upto_;
    }
    flushed_.notify_all();
    return true;
  }

  void Housekeep() {
    next_housekeeping_ = std::chrono::steady_clock::now() + kHousekeeping;
    Status status = EnsureWriter();
    const WallTime cutoff = ReadClocks().wall - options_.history_retention;
    // Deletes at least as fast as history grows, in pieces that leave room for writing between them.
    uint64_t rows = std::min<uint64_t>(kPruneRows + 2 * history_since_prune_, 20 * kPruneRows);
    history_since_prune_ = 0;
    while (status.ok()) {
      Result<Writer::Pruned> pruned = writer_->Prune(cutoff, kPruneRows);
      if (!pruned.ok()) {
        status = pruned.error();
      } else if (!pruned->more || rows <= kPruneRows) {
        break;
      }
      rows -= std::min<uint64_t>(rows, kPruneRows);
    }
    bool idle = false;
    {
      const std::lock_guard<std::mutex> lock(inbox_mutex_);
      idle = inbox_.empty();
    }
    if (status.ok() && idle && dirty_since_checkpoint_) {
      status = writer_->Checkpoint();
      dirty_since_checkpoint_ = !status.ok();
    }
    if (status.ok()) {
      NoteSuccess();
    } else {
      NoteFailure(status.error());
    }
  }

  void NoteFailure(const Error& error) {
    bool first = false;
    {
      const std::lock_guard<std::mutex> lock(mailbox_mutex_);
      ++failures_;
      last_error_ = error.ToString();
      first = std::exchange(healthy_, false);
    }
    if (first) {
      DYN_WARN("DC-DB-001", "store", "write-failed", "error={} rule=records wait and are tried again",
               error.ToString());
    }
  }

  void NoteSuccess() {
    backoff_ = kFirstBackoff;
    bool first = false;
    {
      const std::lock_guard<std::mutex> lock(mailbox_mutex_);
      first = !std::exchange(healthy_, true);
    }
    if (first) {
      DYN_LOG(kInfo, "store", "recovered", "file={} failures={}", options_.path, Counters().failures);
    }
  }

  // Waits before the next attempt; false when the store stops and has no patience left.
  bool BackOff() {
    std::unique_lock<std::mutex> lock(inbox_mutex_);
    if (stop_ && std::chrono::steady_clock::now() >= stop_by_) return false;
    // While stopping nothing can wake us for a good reason: short waits, many attempts.
    const bool stopping = stop_;
    wake_.wait_for(lock, stopping ? kFirstBackoff : backoff_, [&] { return stop_ && !stopping; });
    backoff_ = std::min(backoff_ * 2, kLastBackoff);
    return true;
  }

  const StoreOptions options_;

  mutable std::mutex inbox_mutex_;
  std::condition_variable wake_;     // the writer waits for work, or for its next attempt
  std::condition_variable flushed_;  // Flush waits
  std::vector<Record> inbox_;        // guarded by inbox_mutex_, as is all up to the blank line
  uint64_t posted_ = 0;
  uint64_t flush_target_ = 0;    // posted records that somebody waits for
  uint64_t synced_ = 0;          // posted records that are settled: on disk, merged or dropped
  bool mailbox_filled_ = false;  // by a poster, so that an empty inbox does not mean no work
  bool stop_ = false;
  SteadyTime stop_by_{};

  mutable std::mutex mailbox_mutex_;
  // Guarded by mailbox_mutex_, all up to the blank line.
  std::unique_ptr<Mailbox> mailbox_ = std::make_unique<Mailbox>();
  std::unique_ptr<Mailbox> writing_;  // changed under the lock; the writer reads it without
  uint64_t writing_tokens_ = 0;       // of writing_, not yet in the database
  std::vector<Record> merging_;       // the inbox's other half, kept for its memory
  uint64_t merged_upto_ = 0;          // posted records that reached the mailbox
  store::MergeCounters merge_counters_;
  uint64_t dropped_reported_ = 0;
  uint64_t written_ = 0;
  uint64_t failures_ = 0;
  std::string last_error_;
  bool healthy_ = true;

  // Of the writer's thread alone, but known_: guarded by mailbox_mutex_.
  std::unique_ptr<Mailbox> spare_ = std::make_unique<Mailbox>();  // emptied, with its memory
  std::unique_ptr<Writer> writer_;  // null only while a restored file cannot be opened
  KnownKeys known_;
  uint64_t written_upto_ = 0;
  uint64_t history_since_prune_ = 0;
  bool dirty_since_checkpoint_ = false;
  milliseconds backoff_ = kFirstBackoff;
  SteadyTime next_housekeeping_{};
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<BindingStore>> BindingStore::Open(const StoreOptions& options) {
  Result<store::Database> db = store::OpenForWriting(options.path);
  if (!db.ok()) return db.error();
  KnownKeys known;
  if (Status read = store::LoadKeys(&*db, &known); !read.ok()) return read.error();
  Result<std::unique_ptr<Writer>> writer = Writer::Make(std::move(*db));
  if (!writer.ok()) return writer.error();
  return std::unique_ptr<BindingStore>(
      std::make_unique<StoreImpl>(options, std::move(*writer), std::move(known)));
}

}  // namespace dyncast
