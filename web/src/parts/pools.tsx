// Pools, and where else a token can be looked at.
import { shortMint } from "../format";
import { t } from "../text";
import type { Pool } from "../types";

export function Outside(props: { href: string; children: preact.ComponentChildren }) {
  return (
    <a class="outside" href={props.href} target="_blank" rel="noopener noreferrer">
      {props.children}
    </a>
  );
}

export function PoolTable(props: { pools: readonly Pool[]; isShort?: boolean }) {
  const text = t.value.token;
  if (props.pools.length === 0) return <p class="quiet">{text.noPools}</p>;
  return (
    <table class="list">
      <thead>
        <tr>
          <th scope="col">{text.dex}</th>
          <th scope="col">{text.quote}</th>
          <th scope="col">{text.pool}</th>
        </tr>
      </thead>
      <tbody>
        {props.pools.map((pool) => (
          <tr key={pool.address}>
            <td>{pool.dex}</td>
            <td>{pool.quote}</td>
            <td>
              <Outside href={pool.solscan_url}>
                <code>{props.isShort ? shortMint(pool.address) : pool.address}</code>
              </Outside>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Links(props: { mint: string }) {
  const mint = encodeURIComponent(props.mint);
  return (
    <ul class="links">
      <li>
        <Outside href={`https://solscan.io/token/${mint}`}>Solscan</Outside>
      </li>
      <li>
        <Outside href={`https://dexscreener.com/solana/${mint}`}>DexScreener</Outside>
      </li>
      <li>
        <Outside href={`https://pump.fun/coin/${mint}`}>pump.fun</Outside>
      </li>
    </ul>
  );
}
