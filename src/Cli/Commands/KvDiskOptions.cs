using System.CommandLine;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>Where KV blocks are kept on disk: two options of `worker` and `up` that go together.</summary>
sealed class KvDiskOptions
{
    public const string FolderName = "--kv-disk";
    public const string SizeName = "--kv-disk-size";

    readonly Option<string?> _folder;
    readonly Option<long?> _size;

    /// <param name="folder">What the folder is for this command.</param>
    public KvDiskOptions(string folder)
    {
        _folder = new Option<string?>(FolderName) { HelpName = "DIR", Description = folder };
        _size = SizeOption.Create(SizeName, "what they may take there; what was not used for longest goes first");
    }

    public IEnumerable<Option> All => [_folder, _size];

    /// <returns>Null where nothing is kept.</returns>
    /// <exception cref="InvalidOptionsException">Only one of the two is given.</exception>
    public KvDiskPlace? Read(ParseResult parsed) => (parsed.GetValue(_folder), parsed.GetValue(_size)) switch
    {
        (null, null) => null,
        ({ } folder, { } size) => new KvDiskPlace(folder, size),
        _ => throw new InvalidOptionsException($"{FolderName} and {SizeName} go together: where KV blocks are kept, and how much they may take"),
    };
}

/// <param name="Bytes">What they may take in all.</param>
sealed record KvDiskPlace(string Folder, long Bytes)
{
    /// <summary>The part of one of several workers of this machine: a folder of its own, by its name, and an equal share.</summary>
    public KvDiskPlace Of(string worker, int workers) => new(Path.Combine(Folder, worker), Math.Max(1, Bytes / workers));
}
