using LlamaCluster.Cluster.Hub;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// Fetches parts of tensors from a hub into the cache, by the ranges of bytes that they have in its files. Parts that stand one after the other are asked for
/// together, some runs of them at a time. A run that breaks off goes on where it was. A hub is believed nothing: what comes has yet to be compared
/// with what the coordinator says that it hashes to.
/// </summary>
sealed class HubWeights(HubClient client, DescribedHub hub, WeightsCache cache, string digest) : IDisposable
{
    /// <summary>Runs at a time, of a shard that is not small: one connection alone is often slower than the network.</summary>
    const int MostStreams = 8;

    /// <summary>Also of the smallest shard: while one run ends and the next is asked for, another goes on.</summary>
    const int LeastStreams = 2;

    const long MostRunBytes = 64 << 20;

    /// <summary>Less is hardly worth asking for, which takes two round trips where a hub sends callers on.</summary>
    const long LeastRunBytes = 16 << 20;

    /// <summary>
    /// About so small a part of a shard is under way at a time. Runs that are fetched at the same time end at about the same time, and much of what is in
    /// them is packed only then.
    /// </summary>
    const int UnderWay = 8;

    /// <summary>Bytes between two parts, such as those of a norm, that are cheaper to read over than to ask a second time.</summary>
    const long Gap = 128 << 10;

    /// <summary>Kept in memory of each stream. A processor's second cache holds it until it is written and hashed.</summary>
    const int BufferBytes = 256 << 10;

    /// <summary>The coordinator has all of it too, and the cluster waits.</summary>
    public static HubManners Manners { get; } = new(
        Attempts: 3, Silence: TimeSpan.FromSeconds(20), LongestWait: TimeSpan.FromSeconds(15),
        GiveToken: "HF_TOKEN, and --hub or HF_ENDPOINT, for this worker", Later: "");

    public string Host => client.Endpoint.Host;

    /// <summary>
    /// Whether the hub has a part as one piece worth asking for. A few columns of all rows are scattered over the file, and vectors are too small.
    /// </summary>
    public bool Has(TensorPart part) => part.HasWholeRows && part.Tensor.Rows > 1 && hub.Places.ContainsKey(part.Tensor.Name);

    /// <param name="parts">That the hub has.</param>
    /// <param name="arrived">Gets how many bytes more of the parts are here; fewer than 0 when those of a part are lost. Called from any thread.</param>
    /// <param name="whole">Gets each part when it is whole. Called from any thread.</param>
    /// <exception cref="HubException">The hub refuses, or cannot be reached. What is whole by then stays.</exception>
    public Task FetchAsync(IReadOnlyList<TensorPart> parts, Action<long> arrived, Action<CachedTensor> whole, CancellationToken cancellation)
    {
        var (streams, runBytes) = Division(parts.Sum(part => part.Bytes));
        return Parallel.ForEachAsync(
            RunsOf(parts, runBytes), new ParallelOptions { MaxDegreeOfParallelism = streams, CancellationToken = cancellation },
            async (run, stop) => await FetchAsync(run, arrived, whole, stop));
    }

    public void Dispose() => client.Dispose();

    /// <summary>Of a shard of so many bytes: how many runs to fetch at a time, and how many bytes a run should have.</summary>
    internal static (int Streams, long RunBytes) Division(long shardBytes)
    {
        var underWay = shardBytes / UnderWay;
        var runBytes = Math.Clamp(underWay / MostStreams, LeastRunBytes, MostRunBytes);
        return ((int)Math.Clamp(underWay / runBytes, LeastStreams, MostStreams), runBytes);
    }

    /// <summary>In the order of the files, which is about the order in which parts are loaded.</summary>
    /// <param name="runBytes">A run has more only if a single part does.</param>
    internal IReadOnlyList<HubRun> RunsOf(IReadOnlyList<TensorPart> parts, long runBytes)
    {
        var placed = parts.Select(part => (Part: part, Place: hub.Places[part.Tensor.Name]))
            .Select(at => new HubPart(at.Part, at.Place.File, at.Place.Offset + at.Part.FirstRow * at.Part.RowBytes))
            .OrderBy(part => part.File, StringComparer.Ordinal).ThenBy(part => part.First);
        List<HubRun> runs = [];
        foreach (var part in placed)
            if (runs.Count > 0 && GoesOn(runs[^1], part, runBytes)) runs[^1].Parts.Add(part);
            else runs.Add(new HubRun(part.File, [part]));
        return runs;
    }

    static bool GoesOn(HubRun run, HubPart part, long runBytes) =>
        run.File == part.File && part.First >= run.End && part.First - run.End <= Gap && part.End - run.First <= runBytes;

    async Task FetchAsync(HubRun run, Action<long> arrived, Action<CachedTensor> whole, CancellationToken cancellation)
    {
        using var writer = new RunWriter(run, part => cache.Create(digest, part), arrived, whole);
        var buffer = new byte[BufferBytes];
        for (var attempt = 1; writer.Next < run.End; attempt++)
        {
            var before = writer.Next;
            try
            {
                using var content = await client.OpenAsync(
                    hub.Repository, hub.Commit, run.File, before, run.End - 1, $"{hub.Repository}/{run.File}", cancellation);
                if (content.From != before) throw new HubException($"{Host} does not give a part of {run.File} that is asked for");
                await CopyAsync(content, writer, buffer, run, cancellation);
            }
            catch (HubTroubleException trouble)
            {
                if (writer.Next > before) attempt = 1;
                await client.PauseAsync(trouble, attempt, cancellation);
            }
        }
    }

    /// <exception cref="HubTroubleException">It broke off.</exception>
    static async Task CopyAsync(HubContent content, RunWriter writer, byte[] buffer, HubRun run, CancellationToken cancellation)
    {
        while (writer.Next < run.End)
        {
            var read = await content.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, run.End - writer.Next)), cancellation);
            if (read == 0) throw new HubTroubleException($"{run.File} broke off at byte {writer.Next}", null);
            await writer.WriteAsync(buffer.AsMemory(0, read), cancellation);
        }
    }

    /// <summary>Takes a run's bytes in order, cut anyhow, and makes entries of the cache of its parts.</summary>
    sealed class RunWriter(HubRun run, Func<TensorPart, CacheWriter> create, Action<long> arrived, Action<CachedTensor> whole) : IDisposable
    {
        int _index;
        CacheWriter? _part;

        /// <summary>The next byte of the file that is due.</summary>
        public long Next { get; private set; } = run.First;

        public async Task WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation)
        {
            while (!data.IsEmpty)
            {
                var part = run.Parts[_index];
                var isGap = Next < part.First;
                var count = (int)Math.Min(data.Length, (isGap ? part.First : part.End) - Next);
                if (!isGap) await AppendAsync(part, data[..count], cancellation);
                Next += count;
                data = data[count..];
                if (Next == part.End) EndPart();
            }
        }

        /// <summary>What is there of a part that is not whole is lost.</summary>
        public void Dispose()
        {
            if (_part is null) return;
            arrived(-_part.Length);
            _part.Dispose();
        }

        async Task AppendAsync(HubPart part, ReadOnlyMemory<byte> data, CancellationToken cancellation)
        {
            _part ??= create(part.Part);
            await _part.AppendAsync(data, cancellation);
            arrived(data.Length);
        }

        void EndPart()
        {
            whole(_part!.Commit());
            _part.Dispose();
            (_part, _index) = (null, _index + 1);
        }
    }
}

/// <summary>A part of a tensor, and the bytes of a file that it is.</summary>
sealed record HubPart(TensorPart Part, string File, long First)
{
    public long End => First + Part.Bytes;
}

/// <summary>Parts that stand in a file one after the other, with little between them.</summary>
sealed record HubRun(string File, List<HubPart> Parts)
{
    public long First => Parts[0].First;

    public long End => Parts[^1].End;
}
