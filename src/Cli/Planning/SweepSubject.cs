namespace LlamaCluster.Cli.Planning;

enum SweepSubject
{
    Workers,
    RoundTrip,
    Bandwidth,
}
