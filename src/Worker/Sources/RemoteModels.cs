using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Weights;
using LlamaCluster.Worker.Orders;
using Microsoft.Extensions.Logging;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// Opens models that this machine has no file of. It asks the coordinator what the model is, and fetches exactly the parts of tensors that the shard
/// needs into the cache. They stay there for the next time: a part that is there, with the hash that the coordinator says, is not fetched again.
/// </summary>
sealed partial class RemoteModels(WeightsCache cache, ILogger<RemoteModels> logger)
{
    /// <summary>Calls before it gives up. Each goes on after the last tensor that is whole.</summary>
    const int Attempts = 3;

    WeightsCache Cache => cache;

    /// <exception cref="RpcException">The coordinator does not describe the model. The status says why.</exception>
    public async Task<OpenedModel> OpenAsync(CoordinatorWeights coordinator, LoadProgressFeed progress, CancellationToken cancellation)
    {
        var described = await coordinator.DescribeAsync(cancellation);
        var model = new RemoteModel(this, coordinator, new CachedWeights(described.Name, described.Config, coordinator.Digest, described.Tensors));
        try
        {
            if (described.RopeFactors is { } factors) await model.CompleteAsync(TensorPart.Whole(factors), progress, cancellation);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>An adapter, which the order describes: nothing is asked before its parts are.</summary>
    /// <param name="coordinator">Asked for the adapter.</param>
    /// <param name="config">Of the model that it is for.</param>
    public OpenedModel OpenAdapter(CoordinatorWeights coordinator, LlamaConfig config, IReadOnlyList<TensorInfo> tensors) =>
        new RemoteModel(this, coordinator, new CachedWeights("an adapter", config, coordinator.Digest, tensors));

    [LoggerMessage(Level = LogLevel.Warning, Message = "Fetching weights broke off, attempt {Attempt} of {Attempts}: {Problem}")]
    partial void LogTryAgain(int attempt, int attempts, string problem);

    sealed class RemoteModel(RemoteModels models, CoordinatorWeights coordinator, CachedWeights weights) : OpenedModel
    {
        readonly WeightsCache _cache = models.Cache;

        /// <summary>What the coordinator says that parts hash to, as far as it was asked.</summary>
        readonly Dictionary<TensorPart, string> _hashes = [];

        bool _fetched;

        public override IModelWeights Weights => weights;

        public override string Source => _fetched ? "coordinator" : $"cache {_cache.FolderOf(coordinator.Digest)}";

        public override string? LocalPath => null;

        public override bool IsCompared => true;

        /// <summary>Obtains the divisors of RoPE, which the config lacks.</summary>
        public async Task CompleteAsync(TensorPart factors, LoadProgressFeed progress, CancellationToken cancellation)
        {
            using var nothing = new LoadedParts();
            await ObtainAsync([factors], nothing, progress, cancellation);
            if (TryMend(cancellation)) await ObtainAsync([factors], nothing, progress, cancellation);
            var stored = new byte[factors.Bytes];
            weights.ReadPart(factors, stored);
            var divisors = new float[factors.Tensor.Columns];
            RowDecoder.Decode(factors.Tensor.Type, stored, divisors);
            var complete = weights.Config with { RopeScaling = new RopeScaling.Factors(divisors) };
            if (LlamaConfigRules.FirstProblem(complete) is { } problem)
                throw new RpcException(new Status(StatusCode.DataLoss, $"{factors.Tensor.Name}: {problem}"));
            weights.Complete(complete);
        }

        public override async Task ObtainAsync(IReadOnlyList<TensorPart> parts, LoadedParts loaded, LoadProgressFeed progress, CancellationToken cancellation)
        {
            var total = parts.Sum(part => part.Bytes);
            progress.Begin(Phase.Opening, total, $"cache {_cache.FolderOf(coordinator.Digest)}");
            await OpenWhatIsThereAsync(parts, loaded, progress, cancellation);
            TensorPart[] missing = [.. parts.Where(part => loaded.Find(part) is null && weights.CachedPart(part) is null)];
            if (_cache.MakeRoom(coordinator.Digest, missing.Sum(part => part.Bytes + CachedTensor.TrailerBytes)) is { } problem)
                throw new RpcException(new Status(StatusCode.ResourceExhausted, problem));
            if (missing.Length == 0) return;
            progress.Begin(Phase.Fetching, total, "coordinator");
            _fetched = await coordinator.AskAsync(() => FetchAsync(missing, total, progress, cancellation), cancellation);
        }

        public override Task<IReadOnlyDictionary<TensorPart, string>> HashesAsync(
            IReadOnlyList<TensorPart> parts, IProgress<long> progress, CancellationToken cancellation) =>
            Task.FromResult<IReadOnlyDictionary<TensorPart, string>>(_hashes);

        public override void Refuse(IReadOnlyList<TensorPart> parts)
        {
            foreach (var part in parts)
                if (weights.CachedPart(part) is { } cached) Remove(cached, "the hash does not agree");
        }

        public override bool TryMend(CancellationToken cancellation)
        {
            var checkedEntries = weights.Cached.Select(cached => (Entry: cached, Problem: cached.DataProblem(cancellation)));
            var damaged = checkedEntries.Where(entry => entry.Problem is not null).ToList();
            foreach (var (entry, problem) in damaged) Remove(entry, problem!);
            return damaged.Count > 0;
        }

        public override void Dispose() => weights.Dispose();

        void Remove(CachedTensor damaged, string problem)
        {
            weights.Remove(damaged);
            _cache.Remove(damaged, problem);
        }

        /// <summary>Opens the entries that have the hashes that the coordinator says. It is asked only for parts that something is there of.</summary>
        async Task OpenWhatIsThereAsync(IReadOnlyList<TensorPart> parts, LoadedParts loaded, LoadProgressFeed progress, CancellationToken cancellation)
        {
            _cache.RemoveAbandoned(coordinator.Digest);
            var entries = _cache.EntriesOf(coordinator.Digest);
            bool IsHere(TensorPart part) => entries.Contains(WeightsCache.NameOf(part)) || loaded.Find(part) is { Hash: not null };
            TensorPart[] unsure = [.. parts.Where(part => !_hashes.ContainsKey(part) && IsHere(part))];
            foreach (var (part, hash) in await coordinator.HashesAsync(unsure, progress, cancellation)) _hashes[part] = hash;
            foreach (var part in parts)
                if (weights.CachedPart(part) is null && _hashes.TryGetValue(part, out var hash) && _cache.TryOpen(coordinator.Digest, part, hash) is { } cached)
                    weights.Add(cached);
        }

        /// <returns>True: something came over the network.</returns>
        async Task<bool> FetchAsync(IReadOnlyList<TensorPart> missing, long total, LoadProgressFeed progress, CancellationToken cancellation)
        {
            for (var attempt = 1; ; attempt++)
                try
                {
                    // Counted anew in each attempt, because a part that broke off is fetched from its start.
                    var done = total - missing.Sum(part => part.Bytes);
                    await foreach (var cached in coordinator.Fetch(_cache).RunAsync(missing, bytes => progress.Report(done += bytes), cancellation))
                    {
                        _hashes[cached.Part] = cached.Hash;
                        weights.Add(cached);
                    }
                    return true;
                }
                catch (Exception e) when (attempt < Attempts && e is FetchException or RpcException { StatusCode: StatusCode.Unavailable })
                {
                    models.LogTryAgain(attempt, Attempts, RpcProblem.Describe(e));
                    missing = [.. missing.Where(part => weights.CachedPart(part) is null)];
                }
        }
    }
}
