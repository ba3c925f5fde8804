using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Adapters;

/// <summary>What came of the wish to load or unload an adapter.</summary>
public enum AdapterOutcome
{
    Done,

    /// <summary>Adapters are loaded at the start only.</summary>
    IsOff,

    /// <summary>There is one of the name already.</summary>
    IsThere,

    /// <summary>There is none of the name; or, to be loaded, none at the path.</summary>
    NotFound,

    /// <summary>It cannot be served. The problem says why.</summary>
    Refused,
}

/// <summary>
/// Loads and unloads adapters while the coordinator runs, one at a time. An adapter can be named when all workers of the view have it. One that is unloaded can
/// be named no longer at once; its sequences go on, and workers keep it, until the last of them has ended.
/// </summary>
public sealed partial class AdapterChanges(
    AdapterOptions options, AdapterRegistry adapters, ViewAdapters views, ServedWeights model, ModelIdentity identity,
    ILogger<AdapterChanges> logger) : BackgroundService
{
    readonly AdapterFolders _folders = new(options.Folders);
    readonly SemaphoreSlim _turn = new(1);

    /// <param name="path">Of a GGUF file or a folder, whole or from one of the operator's folders on.</param>
    /// <param name="inPlace">It takes the place of one of the same name, whose sequences go on with what they have.</param>
    /// <returns>And in one line, why it is not loaded.</returns>
    public async Task<(AdapterOutcome Outcome, string Problem)> LoadAsync(string name, string path, bool inPlace, CancellationToken cancellation)
    {
        if (!options.MayChange) return (AdapterOutcome.IsOff, "");
        if (AdapterOptions.NameProblem("lora_name", name) is { } badName) return (AdapterOutcome.Refused, badName);
        await _turn.WaitAsync(cancellation);
        try
        {
            if (name == identity.Name || (!inPlace && adapters.Find(name) is not null)) return (AdapterOutcome.IsThere, "");
            if (_folders.Find(path) is not { } found) return (AdapterOutcome.NotFound, "");
            var opened = await Task.Run(() => ServedAdapter.Open(name, found, model.Files.Config, options.MaxRank, cancellation), cancellation);
            var (own, most) = (opened.Weights.Content.VocabularySize, Math.Max(model.Files.Config.VocabularySize, adapters.MaxVocabulary));
            if (own > most)
            {
                opened.Dispose();
                return (AdapterOutcome.Refused,
                    $"it has a vocabulary of {own}, and workers have room for logits of {most}: "
                    + $"start the coordinator with --lora-room-vocabulary {own}, or more");
            }
            if (adapters.TryAdd(opened) is not { } hold)
            {
                opened.Dispose();
                return (AdapterOutcome.Refused, $"{options.MaxAdapters} adapters are loaded, or unloaded and still used, as many as may be (--max-loras)");
            }
            using (hold)
            {
                if (await views.DeliverAsync(cancellation) is { } failure) return (AdapterOutcome.Refused, failure.Message);
                adapters.Name(opened);
            }
            LogLoaded(name, found, opened.Digest);
            return (AdapterOutcome.Done, "");
        }
        catch (Exception e) when (e is ModelFormatException or InvalidOptionsException or IOException or UnauthorizedAccessException)
        {
            return (AdapterOutcome.Refused, e.Message.ReplaceLineEndings(" "));
        }
        finally
        {
            _turn.Release();
        }
    }

    public AdapterOutcome Unload(string name)
    {
        if (!options.MayChange) return AdapterOutcome.IsOff;
        if (!adapters.TryUnname(name)) return AdapterOutcome.NotFound;
        LogUnloaded(name);
        return AdapterOutcome.Done;
    }

    /// <summary>Tells workers of adapters that nobody uses any more. Whatever fails of that is told again with the next change.</summary>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            for (var known = adapters.Now.Version; ;)
            {
                known = (await adapters.WaitAsync(set => set.Version != known, stoppingToken)).Version;
                if (await views.DeliverAsync(stoppingToken) is { } failure) LogNotTold(failure.Message);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    public override void Dispose()
    {
        base.Dispose();
        _turn.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Adapter {Name} is loaded, from {Path} ({Digest})")]
    partial void LogLoaded(string name, string path, string digest);

    [LoggerMessage(Level = LogLevel.Information, Message = "Adapter {Name} is unloaded: no request can name it from now on")]
    partial void LogUnloaded(string name);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Workers were not told which adapters there are: {Problem}")]
    partial void LogNotTold(string problem);
}
