using LlamaCluster.Cluster.Hub;

namespace LlamaCluster.Cli.Hub;

/// <summary>
/// Fetches one file into its place in the cache. What an earlier attempt left is gone on with, and what has come is the file only if its hash is right.
/// </summary>
sealed class HubDownload(HubClient client, HubCache cache, HubReference reference, string commit, PullProgress progress)
{
    const int BufferBytes = 1 << 20;

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
                    using var content = await client.OpenAsync(reference.Repository, commit, file.Name, before, last: null, $"{reference}", cancellation);
                    if (content.From != before)
                    {
                        (before, digest) = (0, Restarted(target, digest, file));
                        if (!content.IsWhole) continue;
                    }
                    await CopyAsync(content, target, digest, file, cancellation);
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
    async Task CopyAsync(HubContent content, FileStream target, HubDigest digest, HubFile file, CancellationToken cancellation)
    {
        var buffer = new byte[BufferBytes];
        int read;
        while ((read = await content.ReadAsync(buffer, cancellation)) > 0)
        {
            if (read > file.Size - target.Position) throw new HubException($"{reference}: {file.Name} is longer than the {file.Size} bytes that the hub says");
            await target.WriteAsync(buffer.AsMemory(0, read), cancellation);
            digest.Append(buffer.AsSpan(0, read));
            progress.Add(read);
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
