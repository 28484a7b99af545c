// The providers' own lists of models, fetched when a client asks and kept for a while.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "dataplane/models/model_call.hpp"
#include "dataplane/models/served_models.hpp"
#include "dataplane/worker_state.hpp"

namespace balancer::dataplane {

// One for a process, on its home worker. Whoever asks waits for a list that nobody has yet, kPatience at most; a list that has
// grown old is used while a new one is fetched. A list belongs to one generation of its provider and, of a passthrough
// provider, to one credential with the client's anthropic-version and anthropic-beta, of which only a digest is kept.
class ModelLists {
  public:
    static constexpr std::chrono::seconds kPatience{2};
    static constexpr std::chrono::minutes kFresh{5};
    static constexpr std::chrono::seconds kRetry{30};         // after one that failed
    static constexpr std::chrono::seconds kFetchTimeout{10};  // of one request
    static constexpr std::size_t kKeptMax = 256;              // and those that are being fetched
    // At one time, in all and of one provider (whoever asks chooses the credentials); the others' turn comes with the
    // next call.
    static constexpr std::size_t kFetchesMax = 64;
    static constexpr std::size_t kFetchesOfOneMax = 8;

    explicit ModelLists(WorkerState& worker);
    ~ModelLists();
    ModelLists(const ModelLists&) = delete;
    ModelLists& operator=(const ModelLists&) = delete;

    // On the worker.
    void ask(ModelCall call, ModelDone done);
    // Ends what is under way; later calls are answered from what is known.
    void stop();

    // Thread-safe.
    std::vector<ModelListStatus> status() const;

  private:
    struct Kept {
        std::shared_ptr<const Models> models;  // null: none yet
        SteadyTime next_fetch{};
        SteadyTime asked{};
        UpstreamStream* fetching = nullptr;
        bool failed = false;  // the last time
    };
    using Key = std::string;

    Key key_of(const Provider& provider, const ModelCall& call) const;
    bool may_fetch(const Provider& provider) const;
    bool refresh(const Provider& provider, const std::shared_ptr<const ModelCall>& call);
    boost::asio::awaitable<void> fetch(
        Key key, const Provider& provider, std::shared_ptr<const ModelCall> call, std::unique_ptr<UpstreamStream> stream
    );
    boost::asio::awaitable<void> answer(std::shared_ptr<const ModelCall> call, ModelDone done);
    Models served(const ModelCall& call) const;
    void note(const Provider& provider, const Kept& kept, bool failed_before, const std::string& problem);
    void tidy();

    WorkerState& worker_;
    std::map<Key, Kept> kept_;
    std::set<boost::asio::steady_timer*> waiting_;  // cancelled when a fetch is over
    std::size_t fetches_ = 0;
    bool stopped_ = false;

    mutable std::mutex mutex_;  // guards status_; taken once for a fetch and by scrapes
    std::map<std::string, ModelListStatus> status_;
};

}  // namespace balancer::dataplane
