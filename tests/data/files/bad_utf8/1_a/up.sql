-- grüße
SELECT '�';
