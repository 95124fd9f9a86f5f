/// What `ingot train --profile` adds to a run.
#pragma once
#include "runtime/program/Profile.h"
#include "runtime/training/Trainer.h"

namespace ingot {

/// Forwards every call and profiles a few steps: those after the first one, which touches memory
/// for the first time, or all steps of a run that is too short for that.
class ProfiledSteps : public TrainingObserver {
public:
  ProfiledSteps(Session &session, MachineLimits limits, int64_t steps,
                std::unique_ptr<TrainingObserver> observer)
      : session(session), profile(session.program(), std::move(limits)),
        observer(std::move(observer)) {
    if (steps <= profiled)
      session.profile(profile.sink());
  }
  void onStep(const StepReport &report) override {
    observer->onStep(report);
    ++done;
    if (done == 1)
      session.profile(profile.sink());
    else if (done == 1 + profiled)
      session.profile({});
  }
  void onEvaluation(int64_t step, double loss) override { observer->onEvaluation(step, loss); }
  void onCheckpoint(int64_t step, const std::string &file) override {
    observer->onCheckpoint(step, file);
  }
  void onNote(const std::string &text) override { observer->onNote(text); }

  Status write(const std::string &path) {
    session.profile({});
    return profile.writeTrace(path);
  }

private:
  static constexpr int64_t profiled = 3;
  Session &session;
  Profile profile;
  std::unique_ptr<TrainingObserver> observer;
  int64_t done = 0;
};

} // namespace ingot
