namespace LlamaCluster.Cli;

/// <summary>Standard input and output as bytes, for commands that promise exact bytes: no encoding can spoil them.</summary>
/// <param name="Input">Read to its end by the command that wants it.</param>
/// <param name="Output">Written and flushed; not to be mixed with text.</param>
public sealed record ByteStreams(Stream Input, Stream Output)
{
    public static ByteStreams OfConsole() => new(Console.OpenStandardInput(), Console.OpenStandardOutput());
}
