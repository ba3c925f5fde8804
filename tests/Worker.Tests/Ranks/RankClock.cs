namespace LlamaCluster.Worker.Tests.Ranks;

/// <summary>A rank's time, which nothing moves but what a test says takes some: messages, and the rank's own work.</summary>
sealed class RankClock
{
    public int Now { get; private set; }

    public void Work(int time) => Now += time;

    public void WaitUntil(int time) => Now = Math.Max(Now, time);
}
