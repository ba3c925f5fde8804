using LlamaCluster.Cluster.Hub;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Hub;

/// <summary>A model of a hub that is on this machine.</summary>
/// <param name="Path">What --model takes: the file, the first part of several, or the folder.</param>
sealed record PulledModel(string Path, string Commit, IReadOnlyList<HubFile> Files);

/// <summary>How work that takes long is shown while it is done.</summary>
/// <param name="total">Bytes in all.</param>
delegate long ShowProgress(TextWriter error, string what, long total, Func<IProgress<long>?, long> work);

/// <summary>Where people see what is pulled.</summary>
sealed record PullView(TextWriter Error, ShowProgress Show);

/// <summary>Gets models from a hub into the cache.</summary>
static class HubModels
{
    /// <summary>Files at a time. One connection alone is often slower than the network.</summary>
    const int FilesAtATime = 4;

    /// <summary>People wait for it, and there is no other place to get it from.</summary>
    static readonly HubManners Manners = new(
        Attempts: 8, Silence: TimeSpan.FromSeconds(60), LongestWait: TimeSpan.FromMinutes(5),
        GiveToken: $"{HubSettings.TokenOption} FILE or HF_TOKEN", Later: ": what was fetched is kept, pull again later");

    /// <summary>The path of a model that was pulled before; if it was not, or has lost files since, it is pulled now.</summary>
    public static string PathOf(HubReference reference, HubSettings settings, PullView view) =>
        new HubCache(reference, settings.Cache).Find() ?? Pull(reference, settings, TimeProvider.System, view, CancellationToken.None).Path;

    /// <summary>Asks the hub which files the model has now, and fetches those that are not there.</summary>
    /// <exception cref="InvalidOptionsException">No endpoint was given.</exception>
    /// <exception cref="HubException">It cannot be had.</exception>
    public static PulledModel Pull(HubReference reference, HubSettings settings, TimeProvider time, PullView view, CancellationToken cancellation)
    {
        if (settings.Access is not { } access) throw new InvalidOptionsException($"{reference}: {HubSettings.NoEndpoint}");
        using var client = new HubClient(access, Manners, time);
        var cache = new HubCache(reference, settings.Cache);
        var repository = ListAsync(client, reference, cancellation).GetAwaiter().GetResult();
        var choice = HubSelection.Choose(reference, repository.Files);
        var missing = choice.Files.Sum(file => cache.MissingOf(repository.Commit, file));
        if (missing > 0)
        {
            cache.MakeFolders();
            cache.CheckRoom(missing);
            view.Error.WriteLine(
                $"pulling {reference}: {choice.Files.Count} files, {choice.Bytes} bytes, of which {missing} are not here yet, from {access.Endpoint.Host}");
            view.Show(view.Error, $"pulling {reference}", choice.Bytes, shown =>
            {
                var download = new HubDownload(client, cache, reference, repository.Commit, new PullProgress(shown));
                FetchAsync(download, choice.Files, cancellation).GetAwaiter().GetResult();
                return choice.Bytes;
            });
        }
        cache.Link(repository.Commit, choice);
        return new PulledModel(cache.PathOf(repository.Commit, choice.Model), repository.Commit, choice.Files);
    }

    static async Task<HubRepository> ListAsync(HubClient client, HubReference reference, CancellationToken cancellation)
    {
        var path = $"api/models/{reference.Repository}/revision/{Uri.EscapeDataString(reference.Revision)}?blobs=true";
        return HubRepository.Read(await client.ReadAsync(path, $"{reference}", cancellation), $"{client.Endpoint}");
    }

    static Task FetchAsync(HubDownload download, IReadOnlyList<HubFile> files, CancellationToken cancellation) => Parallel.ForEachAsync(
        files.DistinctBy(file => file.Hash), new ParallelOptions { MaxDegreeOfParallelism = FilesAtATime, CancellationToken = cancellation },
        async (file, stop) => await download.RunAsync(file, stop));
}
