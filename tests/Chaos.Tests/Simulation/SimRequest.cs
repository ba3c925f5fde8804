using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Primitives;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>What a client does beside reading.</summary>
/// <param name="LeavesAfter">Hangs up after so many tokens; null: never.</param>
/// <param name="IsSlow">Takes its time between two tokens.</param>
/// <param name="IsHarmful">Its prompt breaks whoever computes it, so it may fail; nothing else may.</param>
sealed record SimClientKind(int? LeavesAfter, bool IsSlow, bool IsHarmful);

/// <summary>
/// Choices that a client asks for together, and what comes of them. Each is compared, event by event, with what an undisturbed run gives. If the coordinator
/// dies, the client asks its successor again, from the beginning.
/// </summary>
sealed class SimRequest(SimCluster cluster, string name, IReadOnlyList<SequenceRequest> choices, SimClientKind kind)
{
    readonly SimAnswer[] _expected = [.. choices.Select(cluster.Model.Answer)];
    readonly bool[] _done = new bool[choices.Count];

    public bool IsDone => Array.TrueForAll(_done, done => done);

    public bool IsHarmful => kind.IsHarmful;

    public override string ToString() =>
        $"request {name}, {choices.Count} x {choices[0].Prompt.Count} + {choices[0].MaxTokens} tokens{(kind.IsSlow ? ", slow" : "")}";

    public void Begin(SimCoordinator coordinator)
    {
        if (!IsDone) coordinator.Process.Begin(() => AskAsync(coordinator));
    }

    async Task AskAsync(SimCoordinator coordinator)
    {
        Array.Clear(_done);
        while (!IsDone)
        {
            int[] open = [.. Enumerable.Range(0, choices.Count).Where(index => !_done[index])];
            var streams = coordinator.Engine.GenerateTogether([.. open.Select(index => choices[index])]);
            await Task.WhenAll(streams.Zip(open, (stream, index) => ReadAsync(coordinator, stream, index)));
            if (!IsDone) await coordinator.Process.PassAsync(TimeSpan.FromSeconds(1));
        }
    }

    async Task ReadAsync(SimCoordinator coordinator, IAsyncEnumerable<SequenceEvent> stream, int index)
    {
        var (simulator, expected) = (cluster.Simulator, _expected[index]);
        var (tokens, prompt) = (0, 0);
        await foreach (var next in stream)
        {
            switch (next)
            {
                case SequenceEvent.Prompt scored:
                    foreach (var token in scored.Tokens) Compare("log-probability of the prompt", token, expected.Prompt, prompt++);
                    break;
                case SequenceEvent.Token token:
                    if (!kind.IsSlow) cluster.Checks.TokenCame(coordinator.Status.ViewVersion);
                    Compare("token", token.Sampled, expected.Tokens, tokens++);
                    break;
                case SequenceEvent.Finished finished:
                    if (finished.Reason != expected.Reason || tokens != expected.Tokens.Count || prompt != expected.Prompt.Count)
                        simulator.Fail(
                            $"{this}: {finished.Reason} after {tokens} tokens and {prompt} of the prompt, "
                            + $"not {expected.Reason} after {expected.Tokens.Count} and {expected.Prompt.Count}");
                    _done[index] = true;
                    break;
                case SequenceEvent.Failed failed:
                    simulator.Note($"{this} failed: {failed.Message}");
                    _done[index] = kind.IsHarmful;
                    if (!kind.IsHarmful) cluster.Checks.Failed(this, failed);
                    _done[index] |= !failed.Retryable;
                    break;
                case SequenceEvent.Refused refused:
                    cluster.Checks.Refused(this, refused, coordinator.Status);
                    break;
            }
            if (kind.LeavesAfter <= tokens)
            {
                _done[index] = true;
                return;
            }
            if (kind.IsSlow) await coordinator.Process.PassAsync(simulator.Random.Time(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(1)));
        }
    }

    void Compare(string what, SampledToken found, IReadOnlyList<SampledToken> expected, int index)
    {
        if (index >= expected.Count) cluster.Simulator.Fail($"{this}: {what} {index} came, but only {expected.Count} are right");
        else if (found.Id != expected[index].Id || found.Logprob != expected[index].Logprob)
            cluster.Simulator.Fail($"{this}: {what} {index} is {found.Id} ({found.Logprob}), not {expected[index].Id} ({expected[index].Logprob})");
    }
}
