using System.CommandLine;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>Where stages keep what they send on: two options of `worker` and `up`, of which the second needs the first.</summary>
sealed class ActivationJournalOptions
{
    public const string FolderName = "--activation-journal";
    public const string SizeName = "--activation-journal-size";

    readonly Option<string?> _folder = new(FolderName)
    {
        HelpName = "DIR",
        Description = "where a stage's output is kept while the worker runs, "
            + "so that only the stages that are lost compute anything again; several workers may share it",
    };

    readonly Option<long?> _size = SizeOption.Create(
        SizeName, "what that may take there; without it 4 bytes times hidden size for each position of the KV cache");

    public IEnumerable<Option> All => [_folder, _size];

    /// <returns>Null where nothing is kept.</returns>
    /// <exception cref="InvalidOptionsException">There is a size, but no folder.</exception>
    public ActivationJournalPlace? Read(ParseResult parsed) => (parsed.GetValue(_folder), parsed.GetValue(_size)) switch
    {
        (null, null) => null,
        ({ } folder, var size) => new ActivationJournalPlace(folder, size),
        _ => throw new InvalidOptionsException($"{SizeName} is nothing without {FolderName}, which says where"),
    };
}

/// <param name="Bytes">What it may take in all; null: as much as it comes to.</param>
sealed record ActivationJournalPlace(string Folder, long? Bytes)
{
    /// <summary>The part of one of several workers of this machine: an equal share.</summary>
    public ActivationJournalPlace Of(int workers) => this with { Bytes = Bytes is { } bytes ? Math.Max(1, bytes / workers) : null };

    /// <summary>As a worker takes it.</summary>
    public string[] ToArguments() =>
        [ActivationJournalOptions.FolderName, Folder, .. Bytes is { } bytes ? [ActivationJournalOptions.SizeName, $"{bytes}"] : Array.Empty<string>()];
}
