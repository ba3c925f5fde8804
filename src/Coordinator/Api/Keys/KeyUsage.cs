namespace LlamaCluster.Coordinator.Api.Keys;

/// <summary>What of a key's limits a request met.</summary>
/// <param name="OfTokens">It is the limit of tokens; else one of requests.</param>
/// <param name="Reason">As the second half of a sentence.</param>
/// <param name="RetryAfter">When the same request may be taken on.</param>
sealed record LimitReached(bool OfTokens, string Reason, TimeSpan RetryAfter);

/// <summary>What is left of a limit per minute.</summary>
/// <param name="Reset">Until all of it is there again.</param>
readonly record struct Allowance(int Limit, int Remaining, TimeSpan Reset);

/// <summary>
/// What callers of one name use of their limits. Requests and tokens fill a bucket each, which empties evenly at the limit's rate: a minute's worth may come at
/// once, and then as much as flows off. What an answer costs is known only when it is there, so tokens may fill their bucket beyond its brim; the next requests
/// wait until that has flowed off, so the rate holds in the long run. Safe for concurrent use.
/// </summary>
sealed class KeyUsage(TimeProvider time)
{
    static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    readonly Lock _lock = new();
    Bucket _requests = new(time.GetTimestamp());
    Bucket _tokens = new(time.GetTimestamp());
    int _running;

    /// <summary>Takes a request on, which must be ended by <see cref="End"/>, or says why not.</summary>
    public LimitReached? Begin(KeyLimits limits)
    {
        lock (_lock)
        {
            if (limits.Concurrent <= _running) return new(false, $"it has {_running} requests under way, as many as it may", Soon);
            if (limits.TokensPerMinute is { } tokens && _tokens.UntilRoom(tokens, time) is { } tokensWait)
                return new(true, $"it has used its {tokens} tokens per minute", tokensWait);
            if (limits.RequestsPerMinute is { } requests && _requests.UntilRoom(requests, time) is { } requestsWait)
                return new(false, $"it has sent its {requests} requests per minute", requestsWait);
            _requests.Level += 1;
            _running++;
            return null;
        }
    }

    /// <param name="tokens">Of the request's prompts and answers.</param>
    public void End(int tokens)
    {
        lock (_lock) (_running, _tokens.Level) = (_running - 1, _tokens.Level + tokens);
    }

    public (Allowance? Requests, Allowance? Tokens) Left(KeyLimits limits)
    {
        lock (_lock) return (_requests.Left(limits.RequestsPerMinute, time), _tokens.Left(limits.TokensPerMinute, time));
    }

    struct Bucket(long now)
    {
        /// <summary>Sums of fractions come out a little above what they mean, and who waited as long as it was told is not to wait again.</summary>
        const double Slack = 1e-6;

        long _at = now;

        public double Level;

        /// <summary>How long until there is room for one more; null: there is.</summary>
        public TimeSpan? UntilRoom(int perMinute, TimeProvider time)
        {
            Flow(perMinute, time);
            var over = Level - (perMinute - 1);
            return over <= Slack ? null : TimeSpan.FromMinutes(over / perMinute);
        }

        public Allowance? Left(int? perMinute, TimeProvider time)
        {
            if (perMinute is not { } limit) return null;
            Flow(limit, time);
            return new Allowance(limit, (int)Math.Max(0, limit - Math.Ceiling(Level - Slack)), TimeSpan.FromMinutes(Level / limit));
        }

        void Flow(int perMinute, TimeProvider time)
        {
            var now = time.GetTimestamp();
            Level = Math.Max(0, Level - time.GetElapsedTime(_at, now).TotalMinutes * perMinute);
            _at = now;
        }
    }
}
