using System.Diagnostics;

namespace LlamaCluster.Cli.Bench;

/// <summary>
/// Clients that all send a prompt at the same moment and read their streams to the end. Decoding is measured from the moment at which the last of them
/// has its first token until the first of them is done: in between, all of them decode and nothing else goes on.
/// </summary>
sealed class ApiStreams(HttpClient client, string model, int generateTokens, StageMeter meter)
{
    StageReading? _allDecode;
    StageReading? _firstDone;
    int _waiting;

    /// <exception cref="CommandFailedException">A request was not answered in full, or the streams never decoded all together.</exception>
    public async Task<ClusterRound> RunAsync(int[][] prompts, CancellationToken cancellation)
    {
        _waiting = prompts.Length;
        var start = Stopwatch.GetTimestamp();
        var streams = await Task.WhenAll(prompts.Select(prompt => Task.Run(() => ReadAsync(prompt, start, cancellation), cancellation)));
        if (_allDecode is not { } from || _firstDone is not { } to || to.Tokens <= from.Tokens || to.Steps == from.Steps)
            throw new CommandFailedException("the first stream was done before all of them had begun: give more --generate-tokens");
        return ClusterRound.Of(streams, from, to);
    }

    async Task<StreamTimes> ReadAsync(int[] prompt, long start, CancellationToken cancellation)
    {
        var times = new StreamTimes(start);
        await foreach (var _ in new ApiStream(client, model).ReadAsync(prompt, generateTokens, cancellation))
            if (times.TextCame() && Interlocked.Decrement(ref _waiting) == 0) _allDecode = meter.Read();
        Interlocked.CompareExchange(ref _firstDone, meter.Read(), null);
        return times;
    }
}
