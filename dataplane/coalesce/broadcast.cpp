#include "dataplane/coalesce/broadcast.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace balancer::dataplane {

AnswerHead::AnswerHead(const wire::ResponseHead& head, std::string provider) : head_(head), provider_(std::move(provider)) {
    texts_.reserve(head.fields.size());
    for (wire::HeaderField& field : head_.fields) {
        const auto& [name, value] = texts_.emplace_back(field.name, field.value);
        field = {name, value};
    }
}

Broadcast::Reader::Reader(Broadcast& from, std::function<void()> on_news) : from_(from), on_news_(std::move(on_news)) {
    BALANCER_CHECK(from.joinable());
    from_.readers_.push_back(this);
}

Broadcast::Reader::~Reader() {
    std::vector<Reader*>& all = from_.readers_;
    auto place = std::find(all.begin(), all.end(), this);
    *place = all.back();
    all.pop_back();
    from_.drop_taken();
}

Broadcast::Take Broadcast::Reader::take(std::vector<Chunk>& out, std::size_t bytes_max) {
    out.clear();
    if (cut_) return Take::kCut;
    std::size_t bytes = 0;
    while (next_ < from_.first_ + from_.chunks_.size()) {
        const Chunk& chunk = from_.chunks_[next_ - from_.first_];
        if (!out.empty() && bytes + chunk->size() > bytes_max) break;
        bytes += chunk->size();
        out.push_back(chunk);
        ++next_;
    }
    taken_ += bytes;
    if (!out.empty()) {
        from_.drop_taken();
        return Take::kChunks;
    }
    if (from_.ended()) return Take::kEnd;
    waits_ = true;
    return Take::kWait;
}

void Broadcast::Reader::tell() {
    if (std::exchange(waits_, false)) on_news_();
}

Broadcast::~Broadcast() { BALANCER_CHECK(readers_.empty()); }

void Broadcast::begin(std::shared_ptr<const AnswerHead> head) {
    head_ = std::move(head);
    tell_all();
}

void Broadcast::append(Chunk chunk) {
    BALANCER_CHECK(head_ && !end_);
    bytes_ += chunk->size();
    bytes_kept_ += chunk->size();
    chunks_.push_back(std::move(chunk));
    for (Reader* reader : readers_) reader->cut_ = reader->cut_ || reader->behind() > limits_.backlog_max;
    drop_taken();
    tell_all();
}

void Broadcast::end(std::shared_ptr<const AnswerEnd> how) {
    end_ = std::move(how);
    tell_all();
}

void Broadcast::seal() {
    sealed_ = true;
    drop_taken();
}

void Broadcast::tell_all() {
    for (Reader* reader : readers_) reader->tell();
}

// Nothing is dropped before there is more than is kept for those who come late.
void Broadcast::drop_taken() {
    if (joinable()) return;
    std::size_t until = first_ + chunks_.size();
    for (const Reader* reader : readers_) {
        if (!reader->cut_) until = std::min(until, reader->next_);
    }
    for (; first_ < until; ++first_) {
        bytes_kept_ -= chunks_.front()->size();
        chunks_.pop_front();
    }
}

}  // namespace balancer::dataplane
