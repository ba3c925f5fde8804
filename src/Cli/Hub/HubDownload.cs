using System.Net;

namespace LlamaCluster.Cli.Hub;

/// <summary>
/// Fetches one file into its place in the cache. What an earlier attempt left is gone on with, and what has come is the file only if its hash is right.
/// </summary>
sealed class HubDownload(HubClient client, HubCache cache, HubReference reference, string commit, PullProgress progress)
{
    const int BufferBytes = 1 << 20;

    static readonly TimeSpan StallTimeout = TimeSpan.FromSeconds(60);

    /// <exception cref="HubException">It cannot be had, or is another file than the hub says.</exception>
    public async Task RunAsync(HubFile file, CancellationToken cancellation)
    {
        if (cache.Has(commit, file))
        {
            progress.Add(file.Size);
            return;
        }
        // What was there may have been damaged since: then all of it is fetched once more.
        if (!await TryAsync(file, cancellation) && !await TryAsync(file, cancellation))
            throw new HubException($"{reference}: {file.Name} came with another hash than the hub says, twice: something between here and the hub changes it");
    }

    /// <returns>False: it had another hash, and is gone.</returns>
    async Task<bool> TryAsync(HubFile file, CancellationToken cancellation)
    {
        var partial = cache.PartialOf(file);
        var isRight = await FetchAsync(file, partial, cancellation);
        if (isRight) File.Move(partial, cache.BlobOf(file), overwrite: true);
        else File.Delete(partial);
        return isRight;
    }

    async Task<bool> FetchAsync(HubFile file, string partial, CancellationToken cancellation)
    {
        await using var target = Open(partial);
        var digest = new HubDigest(file);
        try
        {
            if (target.Length > file.Size) target.SetLength(0);
            await HashAsync(target, digest, cancellation);
            for (var attempt = 1; target.Position < file.Size; attempt++)
            {
                var before = target.Position;
                try
                {
                    using var response = await client.OpenAsync(reference, commit, file, before, cancellation);
                    if (before > 0 && !ContinuesAt(response, before))
                    {
                        (before, digest) = (0, Restarted(target, digest, file));
                        if (response.StatusCode is not HttpStatusCode.OK) continue;
                    }
                    await CopyAsync(response, target, digest, file, cancellation);
                }
                catch (HubTroubleException trouble)
                {
                    if (target.Position > before) attempt = 1;
                    await client.PauseAsync(trouble, attempt, cancellation);
                }
            }
            await target.FlushAsync(cancellation);
            target.Flush(flushToDisk: true);
            if (digest.IsRight()) return true;
            progress.Add(-file.Size);
            return false;
        }
        finally
        {
            digest.Dispose();
        }
    }

    FileStream Open(string partial)
    {
        try
        {
            return new FileStream(partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, useAsync: true);
        }
        catch (IOException e) when (File.Exists(partial))
        {
            throw new HubException($"{partial} is in use ({e.Message}): another process pulls it");
        }
    }

    HubDigest Restarted(FileStream target, HubDigest digest, HubFile file)
    {
        progress.Add(-target.Position);
        target.SetLength(0);
        digest.Dispose();
        return new HubDigest(file);
    }

    /// <summary>A hub, or what stands before it, may know nothing of parts and send all of a file.</summary>
    static bool ContinuesAt(HttpResponseMessage response, long from) =>
        response.StatusCode is HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == from;

    /// <summary>Takes in what is there already.</summary>
    async Task HashAsync(FileStream target, HubDigest digest, CancellationToken cancellation)
    {
        var buffer = new byte[BufferBytes];
        int read;
        while ((read = await target.ReadAsync(buffer, cancellation)) > 0)
        {
            digest.Append(buffer.AsSpan(0, read));
            progress.Add(read);
        }
    }

    /// <exception cref="HubTroubleException">It broke off, or nothing came for too long.</exception>
    async Task CopyAsync(HttpResponseMessage response, FileStream target, HubDigest digest, HubFile file, CancellationToken cancellation)
    {
        var buffer = new byte[BufferBytes];
        using var stalled = new CancellationTokenSource(StallTimeout, client.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stalled.Token, cancellation);
        try
        {
            await using var content = await response.Content.ReadAsStreamAsync(either.Token);
            int read;
            while ((read = await content.ReadAsync(buffer, either.Token)) > 0)
            {
                stalled.CancelAfter(StallTimeout);
                if (read > file.Size - target.Position) throw new HubException($"{reference}: {file.Name} is longer than the {file.Size} bytes that the hub says");
                await target.WriteAsync(buffer.AsMemory(0, read), cancellation);
                digest.Append(buffer.AsSpan(0, read));
                progress.Add(read);
            }
        }
        catch (Exception e) when (e is HttpIOException or HttpRequestException || (e is IOException && e.InnerException is System.Net.Sockets.SocketException))
        {
            throw new HubTroubleException($"{file.Name} broke off after {target.Position} of {file.Size} bytes: {e.Message}", null);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new HubTroubleException($"nothing more of {file.Name} has come for {StallTimeout.TotalSeconds:0} s", null);
        }
        if (target.Position < file.Size) throw new HubTroubleException($"{file.Name} broke off after {target.Position} of {file.Size} bytes", null);
    }
}

/// <summary>The bytes of all files that are there by now. Safe for concurrent use.</summary>
sealed class PullProgress(IProgress<long>? shown)
{
    long _bytes;

    public void Add(long bytes) => shown?.Report(Interlocked.Add(ref _bytes, bytes));
}
