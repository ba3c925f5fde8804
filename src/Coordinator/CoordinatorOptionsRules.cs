using System.Net;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator;

/// <summary>The ranges of <see cref="CoordinatorOptions"/>.</summary>
public static class CoordinatorOptionsRules
{
    static readonly TimeSpan ShortestTime = TimeSpan.FromMilliseconds(1);
    static readonly TimeSpan LongestTime = TimeSpan.FromHours(24);

    /// <summary>All that can be said before the model is opened.</summary>
    /// <exception cref="InvalidOptionsException">The first value that is out of range.</exception>
    public static void Check(CoordinatorOptions options)
    {
        CheckListen("--listen", options.Listen, "http");
        CheckListen("--grpc-listen", options.GrpcListen, options.Tls is null ? "http" : "https");
        CheckRange("--workers", options.Workers, 1, 1024);
        if (options.TensorParallel is { } ranks) CheckRange("--tensor-parallel", ranks, 1, RankShares.MaxRanks);
        CheckRange("--streams", options.Streams, 1, 4096);
        if (options.ContextLength is { } context) CheckRange("--context", context, 2, int.MaxValue);
        Check(options.Engine);
        Check(options.Deadlines);
    }

    /// <param name="modelContextLength">The longest sequence the model was made for.</param>
    /// <returns>The most tokens of one sequence.</returns>
    /// <exception cref="InvalidOptionsException">More was asked for than the model can do.</exception>
    public static int ContextLength(CoordinatorOptions options, int modelContextLength)
    {
        if (options.ContextLength is not { } context) return modelContextLength;
        CheckRange("--context", context, 2, modelContextLength);
        return context;
    }

    static void Check(EngineOptions engine)
    {
        CheckRange(nameof(engine.MaxStepRows), engine.MaxStepRows, 2, 65536);
        CheckRange(nameof(engine.MaxPromptRows), engine.MaxPromptRows, 1, engine.MaxStepRows);
        CheckRange("--max-running", engine.MaxRunning, 1, engine.MaxStepRows - 1);
        CheckRange("--max-waiting", engine.MaxWaiting, 0, 100_000);
        if (engine.MaxWaitingPerClient is { } perClient) CheckRange(nameof(engine.MaxWaitingPerClient), perClient, 1, 100_000);
        CheckRange(nameof(engine.MaxWait), engine.MaxWait);
        CheckRange(nameof(engine.MaxUnreadTokens), engine.MaxUnreadTokens, 16, 1_000_000);
        if (engine.KvTokens is { } tokens) CheckRange(nameof(engine.KvTokens), tokens, 16, 1 << 30);
        if (engine.KvType is not (KvType.F32 or KvType.F16 or KvType.Q80)) throw new InvalidOptionsException($"KvType is {engine.KvType}; it must be F32, F16 or Q80");
        if (engine.ActivationType is not (ActivationType.F32 or ActivationType.Bf16 or ActivationType.Q8))
            throw new InvalidOptionsException($"ActivationType is {engine.ActivationType}; it must be F32, Bf16 or Q8");
        if (engine.SumType is not (ActivationType.F32 or ActivationType.Bf16 or ActivationType.Q8))
            throw new InvalidOptionsException($"--sum-type is {engine.SumType}; it must be f32, bf16 or q8");
    }

    static void Check(ClusterDeadlines deadlines)
    {
        CheckRange(nameof(deadlines.HeartbeatInterval), deadlines.HeartbeatInterval);
        CheckRange(nameof(deadlines.HeartbeatTimeout), deadlines.HeartbeatTimeout);
        if (deadlines.HeartbeatTimeout <= deadlines.HeartbeatInterval)
            throw new InvalidOptionsException($"HeartbeatTimeout is {deadlines.HeartbeatTimeout}; it must be above HeartbeatInterval, {deadlines.HeartbeatInterval}");
        CheckRange(nameof(deadlines.Step), deadlines.Step);
        CheckRange(nameof(deadlines.Open), deadlines.Open);
        CheckRange(nameof(deadlines.LoadSilence), deadlines.LoadSilence);
        CheckRange(nameof(deadlines.Blame), deadlines.Blame);
        CheckRange(nameof(deadlines.Drain), deadlines.Drain);
        CheckRange(nameof(deadlines.Shutdown), deadlines.Shutdown);
        CheckRange(nameof(deadlines.FirstRetry), deadlines.FirstRetry);
        CheckRange(nameof(deadlines.LongestRetry), deadlines.LongestRetry);
    }

    static void CheckListen(string name, string value, string scheme)
    {
        var valid = Uri.TryCreate(value, UriKind.Absolute, out var uri)
            && uri is { PathAndQuery: "/", UserInfo: "", Fragment: "" } && uri.Scheme == scheme
            && (uri.Host == "localhost" || IPAddress.TryParse(uri.DnsSafeHost, out _));
        if (!valid) throw new InvalidOptionsException($"{name} is '{value}'; it must be like {scheme}://127.0.0.1:8080: an IP address (0.0.0.0 for all) or localhost, and a port");
    }

    static void CheckRange(string name, int value, int least, int most)
    {
        if (value < least || value > most) throw new InvalidOptionsException($"{name} is {value}; it must be from {least} to {most}");
    }

    static void CheckRange(string name, TimeSpan value)
    {
        if (value < ShortestTime || value > LongestTime)
            throw new InvalidOptionsException($"{name} is {value}; it must be from {ShortestTime} to {LongestTime}");
    }
}
