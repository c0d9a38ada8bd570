INSERT INTO samples_instrument (id, symbol, name, asset_class)
VALUES
    (1, 'EURUSD', 'Euro / US dollar', 'FOREX'),
    (2, 'GBPUSD', 'Pound sterling / US dollar', 'FOREX'),
    (3, 'USDJPY', 'US dollar / Japanese yen', 'FOREX'),
    (4, 'XAUUSD', 'Gold / US dollar', 'FOREX'),
    (5, 'BTCUSD', 'Bitcoin / US dollar', 'CRYPTO'),
    (6, 'ETHUSD', 'Ether / US dollar', 'CRYPTO'),
    (7, 'SOLUSD', 'Solana / US dollar', 'CRYPTO'),
    (8, 'ES', 'E-mini S&P 500', 'FUTURE'),
    (9, 'NQ', 'E-mini Nasdaq-100', 'FUTURE'),
    (10, 'CL', 'Crude oil "WTI"', 'FUTURE'),
    (11, 'AAPL', 'Apple Inc.', 'STOCK'),
    (12, 'MSFT', 'Microsoft Corporation', 'STOCK'),
    (13, 'NVDA', 'NVIDIA Corporation', 'STOCK'),
    (14, 'BRK.B', 'Berkshire Hathaway Inc., Class B', 'STOCK'),
    (15, 'NOVO-B', 'Novo Nordisk A/S', 'STOCK'),
    (16, 'MC', 'LVMH Moët Hennessy Louis Vuitton SE', 'STOCK')
